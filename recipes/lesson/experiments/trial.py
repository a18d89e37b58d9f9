"""What an experiment is: a question, arms that differ in one thing, the same seeds for all, a computed verdict.

An arm's trial at one seed is a ``Job``: independent of all others and a pure function of what it holds, so that a
pool of processes may run jobs in any order. ``Result`` puts their numbers together again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from recipes.lesson.experiments.drawing import sheet
from shared import rf
from shared.rf import Field

Numbers = dict[str, np.ndarray]
"""What one trial measured, by name: scalars, curves or maps."""


@dataclass(frozen=True)
class Arm:
    """One contender: how its network is made, and what arithmetic says of it before anything is trained."""

    name: str
    make: Callable[[], nn.Module] | None = None
    """Builds the network from torch's random numbers; must be picklable. None where nothing is trained."""
    declared: Field | None = None
    """What one output reads along the last axis, by arithmetic; without it the network itself is asked."""
    shape: tuple[int, ...] = ()
    """One input, ``(c, *axes)``, for which the multiply-adds are counted."""
    rates: tuple[int, ...] = ()

    @cached_property
    def sees(self) -> Field | None:
        """What one output reads along the last axis; None where nothing is trained."""
        if self.declared is not None or self.make is None:
            return self.declared
        with torch.random.fork_rng(devices=[]):
            return rf.of(self.make().eval(), self.shape).axes[-1]

    @property
    def parameters(self) -> int:
        """Trainable numbers of the network."""
        return sum(each.numel() for each in self._on_paper().parameters()) if self.make else 0

    @property
    def macs(self) -> int:
        """Multiply-adds of its convolutions for one input of ``shape``; taps on the padding count too."""
        if self.make is None:
            return 0
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self._on_paper().eval()(torch.empty(1, *self.shape, device="meta"))
        return counter.get_total_flops() // 2

    def _on_paper(self) -> nn.Module:
        assert self.make
        with torch.device("meta"):
            return self.make()


@dataclass(frozen=True)
class Claim:
    """One part of a hypothesis: what was found, in words with figures, and whether it holds at each seed."""

    text: str
    holds: tuple[bool, ...]

    @classmethod
    def at_each_seed(cls, text: str, holds: Any) -> Claim:
        """From an array or list of truths, one a seed."""
        return cls(text, tuple(map(bool, np.atleast_1d(holds))))


@dataclass(frozen=True)
class Verdict:
    """Confirmed if every claim holds at every seed, refuted if one holds at none, undecided otherwise.

    >>> print(Verdict((Claim("4 beats 3", (True, True)), Claim("water is dry", (False, False)))))
    Refuted. Holds: 4 beats 3. Fails: water is dry.
    """

    claims: tuple[Claim, ...]

    @property
    def kind(self) -> str:
        """``confirmed``, ``refuted`` or ``undecided``."""
        if all(all(claim.holds) for claim in self.claims):
            return "confirmed"
        return "undecided" if all(any(claim.holds) for claim in self.claims) else "refuted"

    def __str__(self) -> str:
        """The word and its reasons."""
        parts = [self.kind.capitalize() + "."]
        for word, chosen in (
            ("Holds", [claim for claim in self.claims if all(claim.holds)]),
            ("Varies", [claim for claim in self.claims if any(claim.holds) and not all(claim.holds)]),
            ("Fails", [claim for claim in self.claims if not any(claim.holds)]),
        ):
            if chosen:
                says = "; ".join(
                    claim.text + (f" (at {sum(claim.holds)} of {len(claim.holds)} seeds)" if word == "Varies" else "")
                    for claim in chosen
                )
                parts.append(f"{says[0].upper() + says[1:]}." if self.kind == "confirmed" else f"{word}: {says}.")
        return " ".join(parts)


@dataclass(frozen=True)
class Experiment:
    """A question put to networks that differ in one thing; ``run`` answers it.

    ``measure(arm, seed, effort)`` trains and tests one network; ``judge`` turns all numbers into claims; ``draw``
    shows them and returns the finding that is the figure's title. ``effort`` is the share of the training steps:
    below 1 only to see that everything runs.
    """

    name: str
    title: str
    """The question."""
    hypothesis: str
    arms: tuple[Arm, ...]
    measure: Callable[[Arm, int, float], Numbers]
    judge: Callable[[Result], Sequence[Claim]]
    draw: Callable[[Result, Figure], str]
    columns: Mapping[str, str] = field(hash=False)
    """Scalars that the table shows: their names among the numbers, and their headings."""
    size: tuple[float, float] = (9.5, 4.6)
    """Of the figure, in inches."""
    note: str = ""
    """What a fair reader must know beside the verdict."""

    def arm(self, name: str) -> Arm:
        """The arm of this name; KeyError if there is none."""
        return {arm.name: arm for arm in self.arms}[name]

    def jobs(self, seeds: Sequence[int] = (0, 1, 2), effort: float = 1.0) -> list[Job]:
        """Every trial there is to run."""
        return [Job(self, arm.name, seed, effort) for arm in self.arms for seed in seeds]

    def assemble(self, trials: Iterable[tuple[Job, Numbers]]) -> Result:
        """The result, from all trials in any order."""
        found = {(job.arm, job.seed): numbers for job, numbers in trials}
        seeds = tuple(sorted({seed for _, seed in found}))
        return Result(self, seeds, {arm.name: tuple(found[arm.name, seed] for seed in seeds) for arm in self.arms})

    def run(
        self,
        seeds: Sequence[int] = (0, 1, 2),
        progress: Callable[[int, int, Job], None] | None = None,
        effort: float = 1.0,
    ) -> Result:
        """All trials, one after another; ``progress`` hears of each one that is done: ``(done, of, job)``."""
        jobs, trials = self.jobs(seeds, effort), []
        for done, job in enumerate(jobs, 1):
            trials.append((job, job.run()))
            if progress:
                progress(done, len(jobs), job)
        return self.assemble(trials)


@dataclass(frozen=True)
class Job:
    """One arm's trial at one seed."""

    experiment: Experiment
    arm: str
    seed: int
    effort: float = 1.0

    def run(self) -> Numbers:
        """Its numbers, which depend on nothing but the job: torch's random state and threads are as before after."""
        with torch.random.fork_rng(devices=[]), one_thread():
            torch.manual_seed(self.seed)
            measured = self.experiment.measure(self.experiment.arm(self.arm), self.seed, self.effort)
        return {name: np.asarray(value) for name, value in measured.items()}


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, as in every worker: sums then have one order, and numbers are the same everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Result:
    """What all arms measured at all seeds."""

    experiment: Experiment
    seeds: tuple[int, ...]
    numbers: Mapping[str, tuple[Numbers, ...]] = field(hash=False)
    """By arm, then by seed in their order."""

    def of(self, arm: str, name: str) -> np.ndarray:
        """One number at every seed: ``[seeds]``, or ``[seeds, …]`` for a curve or a map."""
        return np.stack([numbers[name] for numbers in self.numbers[arm]])

    def mean(self, arm: str, name: str) -> Any:
        """Its mean over the seeds."""
        return self.of(arm, name).mean(0)

    def spread(self, arm: str, name: str) -> Any:
        """Its standard deviation over the seeds; 0 for one seed."""
        values = self.of(arm, name)
        return values.std(0, ddof=1) if len(values) > 1 else np.zeros_like(values[0], dtype=float)

    def shown(self, arm: str, name: str, digits: int = 3) -> str:
        """Mean and spread as text, such as ``0.998 ± 0.001``."""
        return f"{self.mean(arm, name):z.{digits}f} ± {self.spread(arm, name):.{digits}f}"

    @property
    def verdict(self) -> Verdict:
        """What became of the hypothesis; computed from the numbers."""
        return Verdict(tuple(self.experiment.judge(self)))

    def rows(self) -> list[dict[str, str]]:
        """The table: for each arm what is known before training, then every measured column with its spread."""
        rows = []
        for arm in self.experiment.arms:
            row = {"arm": arm.name}
            if arm.sees is not None:
                row |= {"field": str(arm.sees.size), "read": f"{arm.sees.coverage:.0%}"}
            if arm.make is not None:
                row |= {"parameters": f"{arm.parameters:,}", "MMAC": f"{arm.macs / 1e6:.1f}"}
            rows.append(
                row | {heading: self.shown(arm.name, name) for name, heading in self.experiment.columns.items()}
            )
        return rows

    def figure(self) -> Figure:
        """The picture; its title is the finding."""
        with sheet(*self.experiment.size) as figure:
            finding = self.experiment.draw(self, figure)
            figure.suptitle(finding, x=0.012, ha="left", fontsize=11, fontweight="bold")
        return figure

    def to_dict(self) -> dict[str, Any]:
        """All but the maps, as JSON takes it."""
        arms = {
            arm.name: {
                "field": arm.sees.to_dict() if arm.sees is not None else None,
                "parameters": arm.parameters,
                "macs": arm.macs,
                "numbers": [
                    {name: value.tolist() for name, value in numbers.items() if value.ndim < 2}
                    for numbers in self.numbers[arm.name]
                ],
            }
            for arm in self.experiment.arms
        }
        verdict = self.verdict
        return {
            "name": self.experiment.name,
            "title": self.experiment.title,
            "hypothesis": self.experiment.hypothesis,
            "seeds": list(self.seeds),
            "arms": arms,
            "verdict": verdict.kind,
            "reasons": str(verdict),
        }
