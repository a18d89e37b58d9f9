"""Start the processes of a run on this machine, and start them again when one is killed. torch's launcher does it.

Of torch's launcher this changes the manners: a process that ends by itself has said why, so none is started again;
those that are asked to stop get the time to save; and nothing is printed but what the processes say.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch.distributed.elastic.agent.server import WorkerGroup, WorkerSpec, WorkerState
from torch.distributed.elastic.agent.server.api import RunResult
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.rendezvous import RendezvousParameters
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

from shared.cli import CLOSED_PIPE, FAILED, INTERRUPTED, USAGE
from shared.errors import InputError

RESTARTS = 3
GRACE = 300  # seconds to end a step, or an evaluation, and to save
SAID = (FAILED, USAGE, INTERRUPTED, CLOSED_PIPE)  # exit codes of a process that has said why it ends
ASKED = (-signal.SIGTERM, -signal.SIGINT)  # it was asked to stop before it could listen


def launch(arguments: Sequence[str], count: int) -> int:
    """Run ``python ARGUMENTS`` in ``count`` processes; the exit code they agree on.

    Raises KeyboardInterrupt if they were stopped before they could say so, InputError if one is killed again and again.
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    name = uuid.uuid4().hex
    here = RendezvousParameters("c10d", "localhost:0", name, 1, 1, local_addr="localhost")
    with _quiet(), _signals_as_before():
        handler = get_rendezvous_handler(here)
        agent = _Agent(
            WorkerSpec(
                role="train",
                local_world_size=count,
                entrypoint=sys.executable,
                args=tuple(arguments),
                rdzv_handler=handler,
                max_restarts=RESTARTS,
                local_addr="localhost",
            ),
            DefaultLogsSpecs(os.devnull),
        )
        try:
            failures = agent.run().failures
            ended = {rank: failure.exitcode for rank, failure in failures.items()}
        except SignalException:
            ended = agent.exit_codes
            if ended.get(0) != INTERRUPTED:
                raise KeyboardInterrupt from None
        finally:
            handler.shutdown()
    codes = sorted(set(ended.values()))
    if ended.get(0) in SAID:  # the first one speaks for all
        return ended[0]
    if INTERRUPTED in codes or (codes and set(codes) <= set(ASKED)):
        raise KeyboardInterrupt
    said = [code for code in codes if code in SAID]
    if said:
        return said[0]
    if codes:
        raise InputError(
            f"a process was killed {RESTARTS + 1} times (exit codes {', '.join(map(str, codes))}); if memory "
            "is short, ask for fewer processes or a smaller train.batch, and go on with --resume"
        )
    return 0


class _Agent(LocalElasticAgent):
    """Starts, watches and stops the processes."""

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        result = super()._monitor_workers(worker_group)
        if result.state == WorkerState.FAILED:
            codes = [failure.exitcode for failure in result.failures.values()]
            if any(code in SAID for code in codes) or all(code in ASKED for code in codes):
                self._remaining_restarts = 0
        return result

    def _shutdown(self, death_sig: signal.Signals = signal.SIGTERM) -> None:  # noqa: ARG002
        if self._pcontext:
            self._pcontext.close(signal.SIGTERM, timeout=GRACE)

    @property
    def exit_codes(self) -> dict[int, int]:
        """Of the processes that were started last, by rank."""
        handlers = self._pcontext.subprocess_handlers if self._pcontext else {}
        return {rank: each.proc.returncode for rank, each in handlers.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the log lines of torch's launcher, which tell a user nothing."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _signals_as_before() -> Iterator[None]:
    """torch's launcher takes four signals for itself, and keeps them."""
    names = [name for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]
    before = {name: signal.getsignal(getattr(signal, name)) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
