"""The values of a training run: what it is (``Run``), and what came of it (``Outcome``)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from shared.training.settings import Settings
from wavenet.data import Plucks, Source
from wavenet.model import WaveNetConfig
from wavenet.yardsticks import Yardsticks

CURVE = "curve.png"  # beside the checkpoint, in a run's folder


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Settings):
    """How to train; what is trained is a ``WaveNetConfig``. An example is an excerpt of a recording."""

    targets: int = 2048
    """Samples predicted in each excerpt. Longer ones waste less on context, shorter ones teach more a minute."""
    learning_rate: float = 8e-3
    """At its peak; it falls to 0 along half a cosine."""
    excerpts: int = 64
    """How many fixed excerpts validation measures."""
    preview_seconds: float = 1.0
    """Length of a preview sound."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("targets", "excerpts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 < self.preview_seconds < math.inf:
            raise ValueError(f"preview_seconds must be above 0, not {self.preview_seconds}")


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that a training run is; ``config.json`` holds it."""

    data: Source = Plucks()
    """Where the sound comes from."""
    model: WaveNetConfig = WaveNetConfig()
    """The network."""
    train: TrainConfig = TrainConfig()
    """How it is trained."""
    speakers: str = ""
    """Where each recording's label comes from: name, name:N, folder or a table; empty: there are none."""
    features: str = ""
    """Folder with a .npy file of frames for each recording, for a model that takes frames other than ``Mel``."""


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
