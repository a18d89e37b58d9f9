"""Two processes that share a run take the steps of one, whatever each of them holds of a step."""

from __future__ import annotations

import itertools
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from segmentation.data import Shapes
from segmentation.data.crops import Batch as Pictures
from segmentation.data.crops import Crops
from segmentation.data.shapes import draw
from segmentation.losses import OHEM, Dice, Sum
from segmentation.networks import DeepLabV3
from segmentation.palette import write_png
from segmentation.transforms import Augmentation
from shared.training import checkpoint
from shared.training.loop import Progress, optimise
from shared.training.processes import Team, joined
from shared.training.whole_batch import ALL_ROWS, Rows, look_at_whole_batches
from tests.melodies import write_melodies
from tests.reliability.commands import usual
from tests.reliability.promise import Figure, Promise, Tier
from tests.reliability.runs import WAVENET
from tests.teams import as_team
from wavenet.data import Recordings
from wavenet.data.excerpts import Batch as Sounds
from wavenet.data.excerpts import Excerpts
from wavenet.model import WaveNet

STEPS, TARGETS = 20, 250
SECONDS = (0.01, 0.02, 0.4, 0.004, 0.5, 0.013, 0.3)  # excerpts past the end of a recording count what they hold


@dataclass(frozen=True)
class Case(ABC):
    """What is trained how. ``naive``: each process takes the mean of what it has, and all take the mean of those."""

    optimizer: str
    rate: float
    dtype: torch.dtype
    allowed: float
    accumulate: int
    naive: bool

    craft: ClassVar[str]
    batch: ClassVar[int]

    def __str__(self) -> str:
        how = f"{self.optimizer}, {str(self.dtype).removeprefix('torch.')}"
        return f"{self.craft}, {how}, {self.accumulate} × {self.batch} examples"

    def train(self, folder: Path, out: Path) -> None:
        """Take the steps, as one of a team or alone; the first process writes the weights and statistics."""
        torch.set_num_threads(1)
        with joined("cpu") as team:
            model = self.trained(folder, team)
        if team.leads:
            values = [value.flatten() for value in model.state_dict().values() if value.is_floating_point()]
            torch.save(torch.cat(values), out)

    @abstractmethod
    def trained(self, folder: Path, team: Team) -> nn.Module:
        """The model after the steps."""

    def distance(self, folder: Path) -> float:
        """Between what two processes and one come to, in units of 1 or of the larger value itself."""
        one, two = folder / "one", folder / "two"
        assert as_team(1, self.train, folder, one) == [0]
        assert as_team(2, self.train, folder, two) == [0, 0]
        mine, yours = (torch.load(each, weights_only=True) for each in (one, two))
        return float(((mine - yours) / mine.abs().clamp_min(1)).abs().max())


class OfSound(Case):
    """A WaveNet on recordings of very different lengths."""

    craft, batch = "wavenet", 3

    def trained(self, folder: Path, team: Team) -> nn.Module:
        """By sums over what each process has, and over what all count."""
        tracks = Recordings(path=str(melodies(folder))).load(0.1, None).whole
        torch.manual_seed(0)
        model = WaveNet(WAVENET.run.model).to(self.dtype)
        batch, accumulate = (self.batch * self.accumulate, 1) if self.naive else (self.batch, self.accumulate)
        excerpts = Excerpts(tracks, model.receptive_field, TARGETS, batch, seed=0)
        optimizer = getattr(torch.optim, self.optimizer)(model.parameters(), lr=self.rate)

        def loss(batch: Sounds) -> Tensor:
            sums = (model.nll(batch.wave.to(self.dtype), batch.condition) * batch.weight).sum()
            return sums / batch.weight.sum() if self.naive else sums

        def batches() -> Iterator[Sounds]:
            for step in itertools.count():
                yield from excerpts.step(step, accumulate, team)

        def weight(batch: Sounds) -> float:
            return 1.0 if self.naive else float(batch.weight.sum())

        steps = optimise(
            model, loss, batches(), optimizer,
            learning_rate=lambda _: self.rate, accumulate=accumulate, weight=weight, team=team,
        )  # fmt: skip
        _taken(steps)
        return model


class OfPictures(Case):
    """A DeepLabV3 with batch norm, dropout and auxiliary head; hard pixels and Dice; void of unequal size."""

    craft, batch = "segmentation", 5

    def trained(self, _: Path, team: Team) -> nn.Module:
        """By layers and losses that look at whole batches; the naive way has each process look at its own rows."""
        shared = Rows(team, self.batch)
        samples = Shapes(count=12, size=(48, 64)).load(0.2, None).train
        torch.manual_seed(0)
        model = DeepLabV3(depth=18, width=8, channels=16, auxiliary=True).build(classes=4).to(self.dtype)
        rows = ALL_ROWS if self.naive else shared
        look_at_whole_batches(model, rows)
        optimizer = getattr(torch.optim, self.optimizer)(model.parameters(), lr=self.rate)
        crops = Crops(samples, Augmentation(crop=(48, 48), scale=(0.5, 2.0)), self.batch, seed=0, rows=shared.own)
        score = Sum(first=OHEM(), second=Dice())

        def loss(batch: Pictures) -> Tensor:
            logits, auxiliary = model.with_auxiliary(batch.images.to(self.dtype))
            return score(logits, batch.masks, rows=rows) + 0.5 * score(auxiliary, batch.masks, rows=rows)

        model.train()
        steps = optimise(
            model, loss, map(crops.batch, itertools.count()), optimizer,
            learning_rate=lambda _: self.rate, accumulate=self.accumulate, team=team,
        )  # fmt: skip
        _taken(steps)
        return model


EXACT = {"dtype": torch.float64, "allowed": 1e-12}
CASES = (
    (OfSound, {"optimizer": "AdamW", "rate": 1e-2, "dtype": torch.float32, "allowed": 1e-6, "accumulate": 4}),
    (OfSound, {"optimizer": "AdamW", "rate": 1e-2, **EXACT, "accumulate": 4}),
    (OfPictures, {"optimizer": "AdamW", "rate": 1e-3, **EXACT, "accumulate": 2}),
    (OfSound, {"optimizer": "SGD", "rate": 0.3, "dtype": torch.float32, "allowed": 1e-6, "accumulate": 1}),
    (OfSound, {"optimizer": "SGD", "rate": 0.3, **EXACT, "accumulate": 1}),
    (OfPictures, {"optimizer": "SGD", "rate": 1e-2, **EXACT, "accumulate": 1}),
)


def compared(tier: Tier, naive: bool) -> Figure:
    """The distances, and how many are as small as promised."""
    cases = [kind(**settings, naive=naive) for kind, settings in CASES]
    found = {
        str(case): (case.distance(tier.folder(str(at))), case.allowed)
        for at, case in enumerate(cases[-tier.count(2, len(cases)) :])
    }
    if tier.name == "full" and not naive:
        for program, data in (("wavenet", melodies(tier.folder("by command"))), ("segmentation", drawn(tier))):
            found[f"{program}, by command"] = by_command(program, data, tier.folder(f"by {program}")), 1e-5
    held = sum(value <= allowed for value, allowed in found.values())
    said = "largest difference: " + "; ".join(f"{value:.0e} ({name})" for name, (value, _) in found.items())
    return Figure(held, len(found), said, {name: value for name, (value, _) in found.items()})


def by_command(program: str, data: Path, folder: Path) -> float:
    """Between what the command comes to with ``--procs 2`` and without, in three steps: launcher, loader and all."""
    for name, more in (("one", ()), ("two", ("--procs", "2"))):
        given = ["train", data, *usual(program), *EXACTLY[program], "--steps", "3", "-q", "-o", folder / name, *more]
        subprocess.run([sys.executable, "-m", program, *map(str, given)], check=True, capture_output=True)
    mine, yours = (safetensors.torch.load_file(folder / name / checkpoint.MODEL) for name in ("one", "two"))
    return max(float((mine[name] - yours[name]).abs().max()) for name in mine)


EXACTLY = {
    "wavenet": ("--set", "train.targets=250", "--set", "train.precision=float32"),
    "segmentation": ("--set", "train.batch=4", "--set", "train.optimizer=sgd", "--set", "train.precision=float32"),
}


def drawn(tier: Tier) -> Path:
    """A folder of pictures and masks of shapes."""
    folder = tier.folder("pictures")
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for at in range(12):
        pixels, ids = draw((40, 56), np.random.default_rng(at))
        write_png(folder / "images" / f"{at}.png", pixels)
        write_png(folder / "masks" / f"{at}.png", ids)
    return folder


def melodies(folder: Path) -> Path:
    """Recordings to train on, written once."""
    recordings = folder / "recordings"
    if not recordings.is_dir():
        recordings.mkdir()
        write_melodies(recordings, [f"melody {at}" for at in range(len(SECONDS))], *SECONDS)
    return recordings


def _taken(steps: Iterator[Progress]) -> None:
    for _ in itertools.islice(steps, STEPS):
        pass


PROMISE = Promise(
    number=6,
    guarantee="`train --procs 2` trains what one process does, of sound and of pictures: after 20 steps weights and "
    "batch-norm statistics differ by rounding alone (1e-12 in float64; of sound 1e-6 in float32), however unequal the "
    "shares of a step are.",
    naive="the mean of each process's own mean; batch norm and dropout over its own rows",
    proof=lambda tier: compared(tier, naive=False),
    control=lambda tier: compared(tier, naive=True),
)
