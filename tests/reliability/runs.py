"""Tiny training runs of both crafts, and what is left of them: what the promises about training try."""

from __future__ import annotations

import json
import os
import signal
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import safetensors.torch
import torch
import torch._dynamo

import segmentation.trainer
import wavenet.trainer
from segmentation.data import Shapes
from segmentation.networks import DeepLabV3
from segmentation.run import Run as Pictures
from segmentation.run import TrainConfig as OfPictures
from segmentation.transforms import Augmentation
from shared.training import checkpoint
from shared.training.session import METRICS, Session
from shared.training.settings import Plan
from tests.reliability.trial import trial
from wavenet.data import Plucks
from wavenet.distributions import Categorical
from wavenet.model import WaveNetConfig
from wavenet.run import Run as Sounds
from wavenet.run import TrainConfig as OfSounds

STEPS = 12
PLAN = Plan(steps=STEPS, threads=1, device="cpu", quiet=True)
COMMON = {"warmup": 4, "ema": 0.9, "save_every": 3, "evaluations": 2, "previews": 1, "precision": "float32"}


@dataclass(frozen=True)
class Craft:
    """One of the two programs, with a run that takes a second."""

    name: str
    trainer: ModuleType
    run: Any

    def go(self, folder: Path, plan: Plan = PLAN) -> str:
        """What a user types, again and again: start, or go on where there is something to go on with. Its digest."""
        if checkpoint.resumable(folder):
            self.trainer.resume(folder, plan)
        else:
            self.trainer.start(self.run, folder, plan, overwrite=True)
        return digest(folder)

    def with_settings(self, **settings: Any) -> Craft:
        """The same with other settings of training."""
        return replace(self, run=replace(self.run, train=replace(self.run.train, **settings)))


WAVENET = Craft(
    "wavenet",
    wavenet.trainer,
    Sounds(
        data=Plucks(minutes=0.2),
        model=WaveNetConfig(
            dilations=(1, 2, 4, 8), residual_channels=16, gate_channels=16, skip_channels=16, output=Categorical()
        ),
        train=OfSounds(batch=2, targets=256, excerpts=4, preview_seconds=0.02, learning_rate=1e-2, **COMMON),
    ),
)
SEGMENTATION = Craft(  # with batch norm and dropout
    "segmentation",
    segmentation.trainer,
    Pictures(
        data=Shapes(count=24, size=(32, 48)),
        network=DeepLabV3(depth=18, width=8, channels=16),
        train=OfPictures(batch=4, augmentation=Augmentation(crop=(32, 32)), **COMMON),
    ),
)


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    """All that the last checkpoint holds: weights, buffers, their average, the optimizer, the random state."""
    kept = {"": checkpoint.MODEL, "resume.": checkpoint.RESUME}
    return {
        f"{prefix}{name}": value
        for prefix, file in kept.items()
        for name, value in safetensors.torch.load_file(folder / file).items()
    }


def digest(folder: Path) -> str:
    """SHA-256 of all of that, and of the step."""
    found = sha256(str(checkpoint.training_state(folder)["step"]).encode())
    for name, value in sorted(tensors_of(folder).items()):
        found.update(name.encode() + value.contiguous().numpy().tobytes())
    return found.hexdigest()


def steps_told(folder: Path) -> list[int]:
    """The steps in the diary, in its order."""
    records = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    return [record["step"] for record in records if "learning_rate" in record]


def litter(folder: Path) -> list[str]:
    """Names of files that are no part of a run: those begun and not finished."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".*"))


@cache
def uninterrupted(craft: Craft) -> tuple[str, float]:
    """The digest of a run that nothing happens to, and the seconds that it takes when all is compiled and loaded."""
    seconds = []
    for _ in range(2):
        with TemporaryDirectory() as folder:
            outcome = trial(lambda: craft.go(Path(folder) / "run"))
        assert not outcome.fault, outcome.fault
        seconds.append(outcome.seconds)
    return outcome.answer, min(seconds)


def killed_after(step: int) -> AbstractContextManager[Any]:
    """Within, a process that trains kills itself when it has taken so many steps."""
    due = Session.evaluation_due

    def asked(session: Session) -> bool:
        if session.step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return due(session)

    return mock.patch.object(Session, "evaluation_due", asked)


def random_times(seed: int, count: int, span: float) -> list[float]:
    """Seconds, spread evenly at random."""
    return np.random.default_rng(seed).uniform(0, span, count).tolist()
