"""However many threads prepare the batches of a run, and whoever goes on with it, its weights are the same."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np

from segmentation.data import crops
from segmentation.transforms import Augmentation, Choice, draw
from shared.training import checkpoint
from tests.reliability.promise import Figure, Promise, Tier
from tests.reliability.runs import SEGMENTATION, killed_after
from tests.reliability.trial import trial


def with_workers(folder: Path, count: int, then: int | None = None) -> str | None:
    """What a run with so many comes to; with ``then``, it is killed on the way and goes on with another number."""
    craft = SEGMENTATION.with_settings(workers=count)
    if then is not None:
        with killed_after(7):
            trial(lambda: craft.go(folder))
        config = checkpoint.load_config(folder)
        checkpoint.save_config(folder, {**config, "train": {**config["train"], "workers": then}})
    return trial(lambda: craft.go(folder)).answer


def compared(tier: Tier) -> tuple[int, int]:
    """How many runs come to what the first does, and how many there are."""
    plans: list[tuple[int, int | None]] = [(0, None), (2, 0)]
    if tier.name == "full":
        plans += [(1, None), (2, None), (4, None), (0, 4)]
    first, *others = [with_workers(tier.scratch / str(at), *plan) for at, plan in enumerate(plans)]
    assert first
    return sum(other == first for other in others), len(others)


def proof(tier: Tier) -> Figure:
    """Of ``segmentation``; ``wavenet`` reads what it trains on between steps, without workers."""
    same, count = compared(tier)
    return Figure(same, count, f"{same} of {count} runs bit-equal to the one without workers")


def control(tier: Tier) -> Figure:
    """Crops drawn by numpy's global generator, which threads share and no checkpoint holds."""

    def drawn(size: tuple[int, int], how: Augmentation, _: np.random.Generator) -> Choice:
        return draw(size, how, np.random.default_rng(np.random.randint(2**31)))  # noqa: NPY002 (it is the naive way)

    np.random.seed(0)  # noqa: NPY002
    with mock.patch.object(crops, "draw", drawn):
        same, count = compared(tier)
    return Figure(same, count, f"{same} of {count}")


PROMISE = Promise(
    number=5,
    guarantee="How many workers prepare batches never changes a result, nor does going on with another number.",
    naive="augmentation drawn from `np.random`",
    proof=proof,
    control=control,
)
