"""The values of a training run: what it is (``Run``), what one process is asked (``Plan``), what came of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wavenet.data import Plucks, Source
from wavenet.model import WaveNetConfig
from wavenet.yardsticks import Yardsticks

METRICS, CURVE, PREVIEWS = "metrics.jsonl", "curve.png", "previews"  # beside the checkpoint, in a run's folder


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to train; what is trained is a ``WaveNetConfig``."""

    batch: int = 4
    """Excerpts a batch."""
    targets: int = 2048
    """Samples predicted in each excerpt. Longer ones waste less on context, shorter ones teach more a minute."""
    accumulate: int = 1
    """Batches a step, for larger steps than memory holds."""
    learning_rate: float = 8e-3
    """At its peak; it falls to 0 along half a cosine."""
    warmup: int = 100
    """Steps until the peak."""
    weight_decay: float = 0.01
    """AdamW's."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    ema: float = 0.999
    """Decay of the averaged weights, which are the ones that are evaluated and published."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the products; weights are float32 always."""
    validation: float = 0.1
    """Share of the files held back."""
    evaluations: int = 20
    """How often to measure validation bits, spread over the run."""
    excerpts: int = 64
    """How many fixed excerpts validation measures."""
    save_every: int = 250
    """Steps between checkpoints."""
    previews: int = 2
    """How many preview sounds to write, spread over the run, the last at its end."""
    preview_seconds: float = 1.0
    """Their length."""
    seed: int = 0
    """Of the first weights and of the order of the excerpts."""

    def __post_init__(self):
        for name in ("batch", "targets", "accumulate", "save_every", "excerpts", "evaluations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("learning_rate", "clip", "preview_seconds"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.weight_decay < math.inf or self.warmup < 0 or self.previews < 0:
            raise ValueError("weight_decay, warmup and previews must not be below 0")
        if not 0 <= self.ema < 1 or not 0 < self.validation < 1:
            raise ValueError("ema and validation lie between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that a training run is; ``config.json`` holds it."""

    data: Source = Plucks()
    """Where the sound comes from."""
    model: WaveNetConfig = WaveNetConfig()
    """The network."""
    train: TrainConfig = TrainConfig()
    """How it is trained."""


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


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    folder: Path
    step: int
    seconds: float
    bits: float
    """Validation bits per sample of the averaged weights when last measured."""
    yardsticks: Yardsticks
    interrupted: bool
