"""Several processes train one model: each computes its share of a step's examples, and sums of all are the step.

All hold the same weights and take the same steps; only the first, the one that leads, writes to the run's folder. What
starts them says by the environment who is who, as torchrun does: ``shared.training.launcher`` on one machine, torchrun
on several.

Gradients are added up after the last backward pass, as one vector. DistributedDataParallel would do it meanwhile, but
it takes the mean of the processes where shares may differ, and wants each of them to have examples and to call
``forward``. A gradient here is a few megabytes; on one machine its sum costs a few hundredths of a step. Layers that
look at whole batches are in ``shared.training.whole_batch``.
"""

from __future__ import annotations

import atexit
import json
import os
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from shared.cli import FAILED, INTERRUPTED
from shared.errors import InputError
from shared.training import machine

LOST = 75  # exit code of a process whose partner is gone: it can be tried again (EX_TEMPFAIL of sysexits.h)
LONGEST_MEETING = timedelta(minutes=10)  # some start later, on machines that are busier
LONGEST_WAIT = timedelta(
    days=7
)  # the first one evaluates and draws previews alone; of a dead one the others hear at once


class LostError(Exception):
    """Another process is gone, or does not answer."""


class ToldError(InputError):
    """An error that all processes know of; the one that leads tells the user."""


@dataclass(frozen=True)
class Team:
    """The processes of a run, as one of them sees them; alone, all of it is free of cost.

    >>> Team(rank=1, size=3).share(10)
    range(3, 6)
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Among those on this machine."""
    local_size: int = 1
    restarts: int = 0
    """How often all were started again because one was lost."""
    launch: str | None = None
    """The name of what started them, which restarts keep."""
    parent: int = field(default_factory=os.getppid)

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    @property
    def orphaned(self) -> bool:
        """Whether what started this process is gone, so that nobody could stop it any more."""
        return self.launch is not None and os.getppid() != self.parent

    @property
    def threads(self) -> int | None:
        """This process's part of the machine's cores; None if it has them all."""
        if self.local_size == 1:
            return None
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // self.local_size)

    def device(self, name: str) -> torch.device:
        """The device of that name; of several GPUs, each process on a machine takes its own."""
        device = machine.device_named(name)
        if self.local_size == 1 or device.type == "cpu":
            return device
        if device.type != "cuda":
            raise InputError(f"--device {name}: several processes work on the CPU or CUDA; --device cpu takes the CPU")
        if name not in ("auto", "cuda"):
            raise InputError(f"--device {name}: each process takes its own GPU; --device cuda gives it one")
        count = torch.cuda.device_count()
        if self.local_size > count:
            raise InputError(f"{self.local_size} processes: here are {count} GPUs; start as many, or say --device cpu")
        device = torch.device("cuda", self.local_rank)
        torch.cuda.set_device(device)
        return device

    def share(self, count: int) -> range:
        """Which of ``count`` examples are this process's: shares differ by one at most, and may be empty."""
        return range(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def total(self, *numbers: float) -> list[float]:
        """The sum of each number over all processes, in float64."""
        if self.size == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64)
        _collective(dist.all_reduce, sums)
        return sums.tolist()

    def summed(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all processes, in place; it is the same to the last bit in all of them."""
        if self.size > 1:
            _collective(dist.all_reduce, value)
        return value

    def told(self, value: Any, by: int = 0) -> Any:
        """What the first process, or another one, has as ``value``, which JSON can say."""
        if self.size == 1:
            return value
        text = json.dumps(value).encode() if self.rank == by else b""
        (length,) = self.total(len(text))
        letters = torch.zeros(int(length), dtype=torch.uint8)
        if text:
            letters = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        _collective(dist.broadcast, letters, by)
        return json.loads(letters.numpy().tobytes())

    def agree(self, error: InputError | None = None) -> None:
        """Raise the error of any process in all of them; each has to call this, with None if all is well."""
        if self.size == 1:
            if error is not None:
                raise error
            return
        if self.total(error is not None) == [0]:
            return
        texts = [self.told(error and str(error), by) for by in range(self.size)]
        by, text = next((by, text) for by, text in enumerate(texts) if text is not None)
        raise ToldError(text if by == 0 else f"process {by}: {text}")

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """All processes come through the block, or none; within it they do not speak to each other."""
        error = None
        try:
            yield
        except InputError as found:
            error = found
        self.agree(error)

    def add_up(self, parameters: Sequence[nn.Parameter], value: float) -> float:
        """Make each gradient its sum over all processes, in place; return the sum of ``value``.

        A parameter that has no gradient anywhere still has none.
        """
        if self.size == 1:
            return value
        there = [float(each.grad is not None) for each in parameters]
        parts = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        flat = torch.cat([*(part.flatten() for part in parts), parts[0].new_tensor([*there, value])])
        self.summed(flat)
        *gradients, last = flat.split([*(each.numel() for each in parameters), len(there) + 1])
        *there, value = last.tolist()
        for each, gradient, count in zip(parameters, gradients, there, strict=True):
            # fused optimizers take for granted that a gradient lies in memory as its weights do
            each.grad = torch.empty_like(each).copy_(gradient.view_as(each)) if count else None
        return value

    def follow(self, code: int) -> NoReturn:
        """End after the first process has ended: launchers stop those that are left as soon as one has failed."""
        with suppress(LostError):
            while True:
                self.total(0)
        raise SystemExit(code)

    def same(self, model: nn.Module) -> None:
        """Give all processes the first one's weights: no two kinds of machine need draw the same ones."""
        if self.size > 1:
            for value in model.state_dict().values():
                _collective(dist.broadcast, value, 0)


ALONE = Team()


def started() -> bool:
    """Whether this process was started as one of several, by torchrun or by ``launcher``."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def leading() -> bool:
    """Whether this process speaks to the user: alone, or as the first one of a team."""
    return int(os.environ.get("RANK", 0)) == 0


def shared_out(arguments: Namespace) -> bool:
    """Whether ``--procs`` asks for several processes, which are still to be started."""
    several = bool(arguments.procs and arguments.procs > 1)
    if several and started():
        raise InputError("--procs: torchrun has started the processes; leave the flag out")
    return several


def launched(program: str, arguments: Namespace, *more: str) -> int:
    """Run a package's command again, in ``--procs`` processes that share the work; return its exit code."""
    from shared.training.launcher import launch  # which is slow to import

    return launch(["-m", program, *arguments.argv, *more, "--procs", "1"], arguments.procs)


@contextmanager
def joined(device: str) -> Iterator[Team]:
    """Within, this process is of the team that the environment names; without such, it is alone."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT")
    if not started():
        yield ALONE
        return
    team = Team(*(int(os.environ[name]) for name in names), launch=os.environ["TORCHELASTIC_RUN_ID"])
    if team.size == 1:
        yield team
        return
    try:
        place = team.device(device)
    except InputError:
        if team.local_rank == 0:
            raise
        raise SystemExit(FAILED) from None
    try:
        if not dist.is_initialized():
            backend = "gloo" if place.type == "cpu" else "cpu:gloo,cuda:nccl"
            _collective(_meet, backend)
            atexit.register(dist.destroy_process_group)
        yield team
    except LostError:
        raise SystemExit(LOST) from None
    except ToldError:
        if team.leads:
            raise
        team.follow(FAILED)
    except KeyboardInterrupt:
        if team.leads:
            raise
        raise SystemExit(INTERRUPTED) from None


def _meet(backend: str) -> None:
    store, rank, size = next(rendezvous("env://", timeout=LONGEST_MEETING))
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=LONGEST_WAIT)


def _collective(call: Callable[..., Any], *arguments: Any, **named: Any) -> None:
    try:
        call(*arguments, **named)
    except RuntimeError as error:
        raise LostError(str(error)) from error
