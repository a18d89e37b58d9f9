"""A run that is killed, wherever it is, goes on from its last checkpoint and ends as if nothing had happened."""

from __future__ import annotations

import itertools
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from shared.errors import InputError
from shared.training import checkpoint
from shared.training.average import WeightAverage
from tests.reliability.promise import Figure, Promise, Tier
from tests.reliability.runs import (
    SEGMENTATION,
    STEPS,
    WAVENET,
    Craft,
    killed_after,
    litter,
    random_times,
    steps_told,
    uninterrupted,
)  # fmt: skip
from tests.reliability.trial import trial

WEIGHTS = 1_050_000  # a checkpoint holds four numbers for each, 17 MB, and the model's file one
ITEMS = ("step", "optimizer", "averaged weights", "batch-norm statistics", "random state")


class Large:
    """A model all of whose numbers are the step that it was saved at, so that a torn checkpoint shows."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.model = torch.nn.Linear(WEIGHTS, 1, bias=False)
        self.average = WeightAverage(self.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters())
        self.model.weight.grad = torch.zeros_like(self.model.weight)
        self.optimizer.step()
        checkpoint.save_config(folder, {})

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All that a checkpoint holds."""
        slot = self.optimizer.state[self.model.weight]
        return [self.model.weight.data, self.average.weights["weight"], slot["exp_avg"], slot["exp_avg_sq"]]

    def save(self, step: int) -> None:
        """As a session does."""
        for tensor in self.tensors:
            tensor.fill_(step)
        self.write(step)

    def load(self) -> int:
        """The step that all of it says; InputError where there is none."""
        step = self.read()
        if not all(bool((tensor == step).all()) for tensor in self.tensors):
            raise InputError("torn")
        return step

    def write(self, step: int) -> None:
        """Put it on the disk."""
        checkpoint.save_weights(self.folder, self.model)
        checkpoint.save_training(self.folder, self.model, self.average, self.optimizer, {"step": step})

    def read(self) -> int:
        """Fill the tensors; the step."""
        checkpoint.load_weights(self.folder, self.model)
        return checkpoint.load_training(self.folder, self.model, self.average, self.optimizer)["step"]


class Naive(Large):
    """The same by ``torch.save``, onto the file itself."""

    def write(self, step: int) -> None:
        """Put it on the disk."""
        torch.save([step, *self.tensors], self.folder / "checkpoint.pt")

    def read(self) -> int:
        """Fill the tensors; the step."""
        try:
            step, *saved = torch.load(self.folder / "checkpoint.pt", weights_only=True)
        except Exception as error:  # whatever it makes of half a file
            raise InputError(str(error)) from None
        for tensor, value in zip(self.tensors, saved, strict=True):
            tensor.copy_(value)
        return step


def inside_saves(large: Large, kills: int, seed: int) -> int:
    """Kill a process that does nothing but save: how often it leaves a whole checkpoint, no older than it knew of."""
    known = large.folder.parent / "known"

    def save_for_ever(first: int) -> None:
        for step in itertools.count(first):
            large.save(step)
            known.write_text(str(step))

    began, whole, step = time.monotonic(), 0, 0
    large.save(0)
    for after in random_times(seed, kills, 2 * (time.monotonic() - began)):
        known.write_text(str(step))
        trial(lambda: save_for_ever(step + 1), kill_after=0.01 + after)  # noqa: B023 (called at once)
        with suppress(InputError):
            step = large.load()
            whole += step >= int(known.read_text() or 0)
            continue
        large.save(step)
    return whole


def at_random(craft: Craft, folder: Path, kills: int, seed: int) -> tuple[int, int]:
    """Kill runs so often, start them again each time: how many came to their end, and how many of those rightly."""
    whole, seconds = uninterrupted(craft)
    times = iter(random_times(seed, 100 * kills, seconds))
    killed = ended = right = 0
    while killed < kills or folder.exists():
        outcome = trial(lambda: craft.go(folder), kill_after=next(times) if killed < kills else None)
        killed += outcome.killed
        if not outcome.killed:
            ended += 1
            told_once = steps_told(folder) == list(range(1, STEPS + 1))
            right += outcome.answer == whole and told_once and not litter(folder)
            shutil.rmtree(folder)
    return ended, right


def forgetting(craft: Craft, folder: Path, item: str) -> str | None:
    """What a run comes to that is killed once and, when it goes on, has forgotten one item of its checkpoint."""
    load, state_of = checkpoint.load_training, checkpoint.training_state

    def loaded(folder: Path, model: torch.nn.Module, average: WeightAverage, optimizer: Any) -> dict[str, Any]:
        random, buffers = torch.get_rng_state(), [buffer.clone() for buffer in model.buffers()]
        state = load(folder, model, average, optimizer)
        if item == "random state":
            torch.set_rng_state(random)
        elif item == "optimizer":
            optimizer.state.clear()
        elif item == "averaged weights":
            average.__init__(model, average.decay)
        elif item == "batch-norm statistics":
            for buffer, old in zip(model.buffers(), buffers, strict=True):
                buffer.copy_(old)
        return state

    def stated(folder: Path) -> dict[str, Any]:
        return {**state_of(folder), **({"step": 0} if item == "step" else {})}

    with killed_after(7):
        trial(lambda: craft.go(folder))
    with (
        mock.patch.object(checkpoint, "load_training", loaded),
        mock.patch.object(checkpoint, "training_state", stated),
    ):
        return trial(lambda: craft.go(folder)).answer


def proof(tier: Tier) -> Figure:
    """Kills at random, then kills aimed inside saves, which random ones hardly ever hit."""
    plans = [(SEGMENTATION.with_settings(workers=2), tier.count(1, 25))]
    if tier.name == "full":
        plans += [(SEGMENTATION.with_settings(workers=0), 25), (WAVENET, 50)]
    found = [at_random(craft, tier.scratch / f"run-{at}", kills, tier.seed) for at, (craft, kills) in enumerate(plans)]
    ended, right = (sum(counts) for counts in zip(*found, strict=True))
    shots = tier.count(4, 60)
    whole = inside_saves(Large(tier.folder("saves")), shots, tier.seed)
    said = (
        f"{sum(kills for _, kills in plans)} kills at random: {right} of {ended} runs ended bit-equal to one that was "
        f"never killed, each step told once; {shots} kills inside saves of 17 MB: {whole} left a whole checkpoint"
    )
    return Figure(right + whole, ended + shots, said)


def control(tier: Tier) -> Figure:
    """Saves onto the file; and each item of a checkpoint left out."""
    shots = tier.count(4, 60)
    whole = inside_saves(Naive(tier.folder("saves")), shots, tier.seed)
    items = ITEMS[-1:] if tier.name == "quick" else ITEMS
    craft = SEGMENTATION.with_settings(workers=2)
    end, _ = uninterrupted(craft)
    alike = [item for item in items if forgetting(craft, tier.scratch / item, item) == end]
    said = (
        f"{shots - whole} of {shots} checkpoints lost; {len(items) - len(alike)} of {len(items)} items left out of a "
        f"checkpoint change the end ({', '.join(items)})"
    )
    return Figure(whole + len(alike), shots + len(items), said)


PROMISE = Promise(
    number=1,
    guarantee="Kill training in any way, at any time: `--resume` goes on from the last checkpoint, and the final "
    "weights are bit for bit those of a run that was never stopped (by `--steps`; same data, processor, threads).",
    naive="`torch.save` onto the file; a checkpoint that lacks an item",
    proof=proof,
    control=control,
)
