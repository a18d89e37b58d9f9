"""The values of a training run: what it is (``Run``), and what came of it (``Outcome``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segmentation.data import Shapes, Source
from segmentation.losses import CrossEntropy, Loss
from segmentation.networks import PRESETS, DeepLabV3Plus, Network
from segmentation.transforms import Augmentation
from shared.training.settings import Settings

CURVE = "curve.png"  # beside the checkpoint, in a run's folder


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Settings):
    """How to train; what is trained is a ``Network``. An example is a crop of a picture."""

    batch: int = 8
    """Crops a batch."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """SGD has momentum 0.9, as in the DeepLab papers, and wants a learning rate of about 0.01."""
    learning_rate: float = 2e-3
    """At its peak; it falls to 0 as a power of what is left of the run."""
    power: float = 0.9
    """That power: DeepLab's "poly" schedule (Chen et al. 2017)."""
    weight_decay: float = 0.02
    """Of matrices only; 1e-4 is usual with SGD."""
    loss: Loss = CrossEntropy()
    """What is lowered."""
    auxiliary: float = 0.5
    """Share of the auxiliary head's loss, where the network has one."""
    augmentation: Augmentation = Augmentation()
    """How crops vary, and their size."""
    pictures: int = 100
    """How many pictures an evaluation on the way looks at; the last one looks at all."""
    workers: int = 1
    """Threads that prepare batches; what they prepare does not depend on their number."""

    def __post_init__(self):
        super().__post_init__()
        if self.pictures < 1 or self.workers < 0:
            raise ValueError("pictures must be at least 1, workers at least 0")
        if not 0 < self.power <= 10 or not 0 <= self.auxiliary <= 10:
            raise ValueError("power lies above 0, auxiliary from 0 up, both up to 10")


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that a training run is; ``config.json`` holds it, and the model beside it."""

    data: Source = Shapes()
    """Where pictures and masks come from."""
    network: Network = PRESETS["fast"]
    """The network; the classes come with the data."""
    initial: str = ""
    """A folder with a model to start from; empty: random weights."""
    train: TrainConfig = TrainConfig()
    """How it is trained."""


DEMO = Run(
    data=Shapes(count=4000, size=(64, 80)),
    network=DeepLabV3Plus(depth=18, width=16, channels=48, output_stride=8, rates=(1, 2, 4)),  # small, and fine-grained
    train=TrainConfig(
        batch=16,
        learning_rate=8e-3,
        ema=0.99,
        evaluations=6,
        previews=4,
        augmentation=Augmentation(crop=(64, 80), scale=(0.9, 1.1), brightness=0, contrast=0, saturation=0, hue=0),
    ),
)
"""What ``segmentation demo`` trains."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    folder: Path
    step: int
    seconds: float
    mean_iou: float | None
    """Of the averaged weights over all held-back pictures; None if the run was stopped before."""
    table: str
    """A line a class, ready to print; empty if the run was stopped."""
    interrupted: bool
