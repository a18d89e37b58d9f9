"""A training run in its folder: what both crafts do alike around their steps. The trainer keeps the for-loop.

``config.json`` the run · ``model.safetensors`` averaged weights · ``resume.safetensors`` everything to go on ·
``metrics.jsonl`` the diary · ``previews/``
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from shared.errors import InputError
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


def claim(folder: Path, plan: Plan, *, overwrite: bool) -> None:
    """Make sure that a new run may be written to ``folder``: empty, absent, or an old run and ``overwrite``."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; -o takes the folder of the run")
    if folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            raise InputError(f"{folder}: is not empty; go on with --resume {folder}, or start again with --overwrite")
        if (folder / checkpoint.CONFIG).exists() and "train" not in checkpoint.load_config(folder):
            raise InputError(f"{folder}: holds a model that is not a training run's; --overwrite is for runs")
    if plan.steps is None and plan.minutes is None:
        raise InputError("how long to train? give --steps or --minutes")


def begun(folder: Path, team: Team) -> bool:
    """Whether the team was started again after a loss and had saved to the folder before; all go by the first."""
    if team.restarts == 0:
        return False
    there = (folder / checkpoint.RESUME).exists()
    return team.told(team.leads and there and checkpoint.training_state(folder).get("launch") == team.launch)


def saved(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration of a run to resume, and the ``state`` of its last checkpoint."""
    values = checkpoint.load_config(folder)
    if "train" not in values:
        raise InputError(f"{folder}: a saved model, not a training run; it can be used, but not be resumed")
    return values, checkpoint.training_state(folder)


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
            names = (METRICS, checkpoint.CONFIG, checkpoint.MODEL, checkpoint.RESUME)
            for path in [*(self.folder / name for name in names), *leavings]:
                path.unlink(missing_ok=True)
            checkpoint.save_config(self.folder, config)
            self.save()
        sweep(self.folder)
        self.journal = Journal(self.folder / METRICS, resumed_step=self.first)

    def save(self) -> None:
        """Write a checkpoint; InputError, with the last one intact, if the weights are no longer finite."""
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
        if not all(bool(torch.isfinite(weight).all()) for weight in self.model.parameters()):
            raise InputError(
                f"{self.folder}: the weights are no longer finite at step {self.step}; the last checkpoint stands"
            )
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
    ) -> Iterator[Progress]:
        """Train, average, keep the diary, save, and stop when the budget is used up or the user asks.

        ``learning_rate(step, fraction of the budget)`` is asked before each step. ``examples`` names what each
        step sees ``size`` of. ``weight`` is ``optimise``'s. The last step is saved before it is given out.
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
        """Measure with the averaged weights, and write it to the diary."""
        began = self.budget.elapsed
        with self.average.swapped_in(self.model):
            found = measure()
        self.looking += self.budget.elapsed - began
        self.journal.write(step=self.step, seconds=self.budget.elapsed, **found)
        return found

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
