"""A training run in its folder: what both crafts do alike around their steps. The trainer keeps the for-loop.

``config.json`` the run · ``model.safetensors`` averaged weights · ``resume.safetensors`` everything to go on,
``previous.safetensors`` the one before ·
``metrics.jsonl`` the diary · ``previews/``
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from shared.errors import InputError, shown
from shared.files import sweep
from shared.training import checkpoint, machine
from shared.training.average import WeightAverage
from shared.training.budget import Budget, Milestones
from shared.training.interruption import Interruption
from shared.training.journal import Journal
from shared.training.loop import Progress, optimise
from shared.training.processes import ALONE, Team
from shared.training.progress import ProgressLine, clock
from shared.training.settings import Plan, Settings

METRICS, PREVIEWS = "metrics.jsonl", "previews"  # beside the checkpoint, in a run's folder
MOST_NAMES = 16  # of examples, in a remark
MOST_LOOKING = 0.05  # of the time may go into evaluations on the way; short runs have fewer


@dataclass(frozen=True)
class Place:
    """Where a process trains: ``precision`` is that of products."""

    device: torch.device
    threads: int
    precision: torch.dtype
    processes: int = 1

    @classmethod
    def of(cls, settings: Settings, plan: Plan, state: dict[str, Any] | None, team: Team = ALONE) -> Place:
        """What the plan asks for; on resuming, what it leaves open stays as it was, if as many processes share it."""
        machine.keep_memory()
        device = team.device(plan.device)
        before = state["threads"] if state and state.get("processes", 1) == team.size else team.threads
        threads = machine.use_threads(plan.threads or before)
        precision = machine.precision_named(state["precision"] if state else settings.precision, device)
        return cls(device, threads, machine.precision_named(team.told(_name(precision)), device), team.size)

    def __str__(self) -> str:
        several = f"{self.processes} processes of " if self.processes > 1 else ""
        return f"on {self.device.type}, {several}{self.threads} threads, {_name(self.precision)}"


class Session:
    """One process's part of a run; within ``with``, Ctrl-C and SIGTERM end it after a step.

    ``step`` counts the steps done, ``average`` holds the weights that are published. ``stated`` is what the trainer
    wants to find again in ``state`` on resuming. The loss is told to the user and the diary times ``unit[1]``, as
    ``unit[0]``.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        plan: Plan,
        place: Place,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        line: ProgressLine,
        state: dict[str, Any] | None,
        *,
        stated: dict[str, Any],
        unit: tuple[str, float] = ("loss", 1.0),
        team: Team = ALONE,
    ):
        self.folder, self.settings, self.place, self.line = folder, settings, place, line
        self.model, self.optimizer, self.stated, self.unit, self.team = model, optimizer, stated, unit, team
        self.average = WeightAverage(model, settings.ema)
        if state is not None:
            checkpoint.load_training(folder, model, self.average, optimizer)
        self.step = self.first = state["step"] if state else 0
        self.budget = _budget(plan, state)
        self.evaluations, self.previews = (
            Milestones(count, self.budget.fraction(self.first)) for count in (settings.evaluations, settings.previews)
        )
        self.smooth, self.looking = math.nan, 0.0
        self.interruption = Interruption()
        self.new = state is None
        self.note = ""

    def __enter__(self) -> Self:
        self.interruption.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.interruption.__exit__(*error)

    def open(self, config: dict[str, Any], leavings: Iterable[Path] = ()) -> None:
        """Begin the folder, or go on in it: to be called when nothing else can fail any more.

        Of an older run in a new one's folder only what runs write is removed, and ``leavings``.
        """
        if not self.team.leads:
            return
        if self.new:
            self.folder.mkdir(parents=True, exist_ok=True)
            checkpoint.clear(self.folder)
            for path in [self.folder / METRICS, *leavings]:
                path.unlink(missing_ok=True)
        faults = [] if self.new else checkpoint.faults(self.folder)
        for fault in faults:
            self.line.say(fault)
        checkpoint.save_config(self.folder, config)  # of an older format it is renewed
        sweep(self.folder)
        sweep(self.folder / PREVIEWS)
        self.journal = Journal(self.folder / METRICS, resumed_step=self.first)
        if self.new or faults:
            self.save()

    def save(self) -> None:
        """Write a checkpoint; InputError, with the last one intact, if what it holds is no longer finite."""
        if not self.team.leads:
            return
        note = {
            "step": self.step,
            "seconds": self.budget.elapsed,
            "budget": {"steps": self.budget.steps, "seconds": self.budget.seconds},
            "threads": self.place.threads,
            "processes": self.team.size,
            "launch": self.team.launch,
            "precision": _name(self.place.precision),
            **self.stated,
        }
        memory = (value for slot in self.optimizer.state.values() for value in slot.values())
        if not _finite([*self.model.state_dict().values(), *self.average.weights.values(), *memory]):
            raise InputError(
                f"{self.folder}: the weights are no longer finite at step {self.step}; the last checkpoint stands, "
                f"go on from there with --resume {self.folder}"
            )
        self.journal.sync()  # what is told of a step must not be lost where the step is not
        with self.average.swapped_in(self.model):
            checkpoint.save_weights(self.folder, self.model)
        checkpoint.save_training(self.folder, self.model, self.average, self.optimizer, note)

    def steps(
        self,
        loss: Callable[[Any], Tensor],
        batches: Iterable[Any],
        learning_rate: Callable[[int, float], float],
        examples: str,
        size: int = 1,
        weight: Callable[[Any], float] | None = None,
        names: Callable[[int], Iterable[str]] = lambda _: (),
    ) -> Iterator[Progress]:
        """Train, average, keep the diary, save, and stop when the budget is used up or the user asks.

        ``learning_rate(step, fraction of the budget)`` is asked before each step. ``examples`` names what each
        step sees ``size`` of. ``weight`` is ``optimise``'s. ``names(step)``, counting from 0, are asked for where a
        step has to be skipped, to tell the user what it saw. The last step is saved before it is given out.
        """
        settings, budget, (name, factor) = self.settings, self.budget, self.unit
        fraction = self._fraction()
        if fraction >= 1:
            self.line.say(f"all that was asked for is done, at step {self.first}; --steps or --minutes ask for more")
            return
        steps = optimise(
            self.model,
            loss,
            self._guarded(batches),
            self.optimizer,
            learning_rate=lambda step: learning_rate(step, fraction),
            clip=settings.clip,
            accumulate=settings.accumulate,
            precision=self.place.precision,
            start=self.first,
            weight=weight,
            team=self.team,
        )
        budget.begin()
        for progress in steps:
            self.step = progress.step
            if not progress.skipped:
                self.average.update(self.model)
            else:
                self.line.say(_skipped(self.step, list(dict.fromkeys(names(self.step - 1)))))
            here = progress.loss * factor
            self.smooth = here if math.isnan(self.smooth) else self.smooth + 0.02 * (here - self.smooth)
            if self.team.leads:
                self.journal.write(
                    step=self.step,
                    seconds=budget.elapsed,
                    **{name: here},
                    learning_rate=progress.learning_rate,
                    gradient_norm=progress.gradient_norm,
                    skipped=progress.skipped,
                )
            fraction = self._fraction()
            pace = (self.step - self.first) / budget.elapsed_here * size
            left = clock(budget.seconds_left(self.step, self.first))
            self.note = f"{pace:,.{0 if pace >= 100 else 1}f} {examples}/s · {left} left"
            self.line.update(fraction, f"step {self.step} · {self.smooth:.3f} {name} · {self.note}")
            done = fraction >= 1 or self.interruption.requested
            if done or self.step % settings.save_every == 0:
                self.save()
            yield progress
            if done:
                return

    @property
    def stopped(self) -> bool:
        """Whether the user asked to stop."""
        return self.interruption.requested

    @property
    def running(self) -> bool:
        """Whether there is more to come after this step, and this process may look at it: the others wait."""
        return self.team.leads and not self.stopped and self.budget.fraction(self.step) < 1

    def evaluation_due(self) -> bool:
        """Whether to look now: often enough, but not for more than a twentieth of the time."""
        due = self.running and self.evaluations.passed(self.budget.fraction(self.step))
        return due and self.looking < MOST_LOOKING * self.budget.elapsed_here

    def preview_due(self) -> bool:
        """Whether to write a preview now."""
        return self.running and self.previews.passed(self.budget.fraction(self.step))

    def look(self, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Measure with the averaged weights, and write it to the diary; empty if the user asks to stop meanwhile."""
        began, found = self.budget.elapsed, {}
        with self.average.swapped_in(self.model), suppress(_AskedToStopError):
            found = measure()
        self.looking += self.budget.elapsed - began
        if found:
            self.journal.write(step=self.step, seconds=self.budget.elapsed, **found)
        return found

    def heed(self, *_: int) -> None:
        """The ``progress`` of what is measured: ends ``look`` when the user asks to stop."""
        if self.stopped:
            raise _AskedToStopError

    def _fraction(self) -> float:
        """How much of the budget is used, by the first process's clock; what one was asked to do, all are."""
        asked = self.interruption.requested or self.team.orphaned
        mine = self.budget.fraction(self.step) if self.team.leads else 0.0
        asked, fraction = self.team.total(asked, mine)
        if asked:
            self.interruption.requested = True
        return fraction

    def _guarded(self, batches: Iterable[Any]) -> Iterator[Any]:
        source = iter(batches)
        while True:
            batch = None
            try:
                with self.team.agreeing():
                    batch = next(source, None)
            except InputError as error:  # a file has vanished or gone bad since it was checked
                self.save()
                raise type(error)(f"{error}; step {self.step} is saved, so then --resume {self.folder}") from None
            if batch is None:
                return
            yield batch


class _AskedToStopError(Exception):
    pass


def _finite(values: Iterable[Tensor]) -> bool:
    return all(bool(torch.isfinite(value).all()) for value in values if value.is_floating_point())


def _skipped(step: int, names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    saw = f"; it saw {', '.join(map(shown, names[:MOST_NAMES]))}{more}" if names else ""
    return f"step {step} is skipped, its loss or gradient is not finite{saw}"


def decayed(model: nn.Module, decay: float, never: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Parameter groups: weight decay is for matrices, not for biases and norms, nor for names that begin so."""
    groups: tuple[list, list] = ([], [])
    for name, parameter in model.named_parameters():
        groups[parameter.ndim > 1 and not name.startswith(never)].append(parameter)
    return [{"params": groups[True], "weight_decay": decay}, {"params": groups[False], "weight_decay": 0.0}]


def _budget(plan: Plan, state: dict[str, Any] | None) -> Budget:
    spent = state["seconds"] if state else 0.0
    if state and plan.steps is None and plan.minutes is None:  # finish what was asked for
        return Budget(state["budget"]["steps"], state["budget"]["seconds"], spent)
    return Budget(plan.steps, plan.minutes and spent + 60 * plan.minutes, spent)


def _name(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")
