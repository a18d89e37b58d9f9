"""What every training run can be told: settings of the run, which its folder keeps, and the plan of one process."""

from __future__ import annotations

import math
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from shared.cli import seed_of
from shared.config import with_file, with_settings
from shared.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train. Each craft adds its own fields, and its own defaults where they differ."""

    batch: int = 4
    """Examples a batch."""
    accumulate: int = 1
    """Batches a step, for larger steps than memory holds."""
    learning_rate: float = 1e-3
    """At its peak."""
    warmup: int = 100
    """Steps until the peak."""
    weight_decay: float = 0.01
    """Of matrices only."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    ema: float = 0.999
    """Decay of the averaged weights, which are the ones that are evaluated and published."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the products; weights are float32 always."""
    validation: float = 0.1
    """Share of the files held back."""
    evaluations: int = 20
    """How often to measure on what is held back, spread over the run."""
    save_every: int = 250
    """Steps between checkpoints."""
    previews: int = 2
    """How many previews to write, spread over the run, the last at its end."""
    seed: int = 0
    """Of the first weights and of the order of the examples."""

    def __post_init__(self):
        for name in ("batch", "accumulate", "save_every", "evaluations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("learning_rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.weight_decay < math.inf or self.warmup < 0 or self.previews < 0:
            raise ValueError("weight_decay, warmup and previews must not be below 0")
        if not 0 <= self.ema < 1 or not 0 < self.validation < 1:
            raise ValueError("ema and validation lie between 0 and 1")


@dataclass(frozen=True)
class Plan:
    """What is asked of one process: how long, on what, how loudly. None means as before, or the default."""

    steps: int | None = None
    """The total, steps before a resume included."""
    minutes: float | None = None
    """Of this process, so that a resume adds them."""
    device: str = "auto"
    threads: int | None = None
    quiet: bool = False
    data: str | None = None
    """Of a resume: where the data are now."""


def plan_of(arguments: Namespace) -> Plan:
    """The plan that the flags of ``train`` ask for."""
    data = arguments.data if arguments.resume else None
    return Plan(arguments.steps, arguments.minutes, arguments.device, arguments.threads, arguments.quiet, data)


def settled(arguments: Namespace, run: T) -> T:
    """The run with file, flags and ``--set`` of ``train`` laid over it, in this order."""
    if arguments.config:
        run = with_file(run, Path(arguments.config))
    flags = {"train.seed": arguments.seed and seed_of(arguments), "train.save_every": arguments.save_every}
    run = with_settings(run, [f"{name}={value}" for name, value in flags.items() if value is not None])
    return with_settings(run, arguments.settings)


def only_resuming(arguments: Namespace, *others: str) -> None:
    """Make sure that with ``--resume`` nothing is asked for that the run already says."""
    common = ("out", "overwrite", "preset", "save_every", "seed", "config", "settings")
    if any(getattr(arguments, name) for name in (*common, *others)):
        raise InputError(
            "--resume takes everything from the run; only --steps, --minutes, --device, --threads go with it, and DATA "
            "that have moved"
        )
