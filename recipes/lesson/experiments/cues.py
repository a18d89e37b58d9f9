"""A task that is all about reach: a bar in noise whose class is told only by a signed marker at one of its ends.

A pixel of the bar looks like every other; to know its class, a network has to carry the marker's sign to it. So the
accuracy at each distance from the marker is a measured receptive field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recipes.lesson.experiments.fit import channels_last, fit, held_back, tests
from recipes.lesson.experiments.networks import normed_stack
from recipes.lesson.experiments.trial import Arm, Numbers
from shared import rf

TESTS = 128  # test pictures, each of which comes twice
HALF = 1  # the marker reaches this far to both sides of its centre
NOISE, BAR, SIGN = 0.3, 1.0, 2.0
LATEST_START = 4
GROUND = 0.2  # weight of the ground in the loss: most of a picture is ground, and it is easy


@dataclass(frozen=True)
class Bars:
    """A batch of pictures or volumes."""

    inputs: Tensor
    """``[b, 1, *axes]``."""
    labels: Tensor
    """``[b, *axes]``: 0 is ground, 1 and 2 are the bar's classes."""
    distances: Tensor
    """``[b, *axes]``: from the marker's centre along the last axis, in pixels; −1 in the marker and in the ground."""
    markers: Tensor
    """``[b, length]``: whether the marker covers this place along the last axis."""


def bars(
    count: int, shape: tuple[int, ...], thickness: int, generator: torch.Generator, only: int | None = None
) -> Bars:
    """So many pictures or volumes of this shape, each with one bar along the last axis.

    ``only`` gives all bars one class, 0 or 1; every other random number stays the same.
    """
    *across, length = shape
    ones = (1,) * len(across)

    def spread(values: Tensor) -> Tensor:
        return values.view(count, *ones, -1)

    start = torch.randint(LATEST_START, (count, 1), generator=generator)
    along = torch.arange(length) - start - HALF
    mirrored = torch.rand(count, 1, generator=generator) < 0.5
    along = torch.where(mirrored, along.flip(1), along)
    inside = spread(along >= -HALF)
    for axis, size in enumerate(across):
        first = torch.randint(size - thickness + 1, (count, 1), generator=generator)
        at = torch.arange(size)
        shaped = (count, *(size if other == axis else 1 for other in range(len(shape))))
        inside = inside & ((at >= first) & (at < first + thickness)).view(shaped)
    kind = torch.randint(2, (count, 1), generator=generator)
    if only is not None:
        kind = torch.full_like(kind, only)
    columns = along.abs() <= HALF
    marker = inside & spread(columns)
    noise = torch.randn(count, *shape, generator=generator)
    values = NOISE * noise + BAR * inside + SIGN * marker * spread(2 * kind - 1)
    distances = torch.where(inside & ~marker, spread(along), -1)
    return Bars(values.unsqueeze(1), inside * spread(1 + kind), distances, columns)


def trained_on_bars(
    network: nn.Module, shape: tuple[int, ...], thickness: int, *, steps: float, seed: int, batch: int = 16
) -> nn.Module:
    """Fit to fresh bars."""

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        drawn = bars(batch, shape, thickness, generator)
        return drawn.inputs, drawn.labels

    weighted = partial(F.cross_entropy, weight=torch.tensor([GROUND, 1.0, 1.0]))
    return fit(network, draw, steps=steps, seed=seed, loss=weighted)


@torch.no_grad()
def accuracy_by_distance(
    network: nn.Module, shape: tuple[int, ...], thickness: int, *, seed: int, count: int
) -> np.ndarray:
    """The share of bar pixels told right, by distance from the marker's centre, from ``HALF + 1`` on.

    Each test picture comes twice, with the one class and with the other, and is the same but for the marker. So a
    pixel that cannot read the marker says the same both times, and is right exactly once: chance is 0.5 without
    error. Only the two classes of bar compete, so that telling bar from ground does not matter here.
    """
    right = []
    for only in (0, 1):
        test = bars(count, shape, thickness, held_back(seed), only)
        scores = network(channels_last(test.inputs))
        right.append((scores[:, 2] > scores[:, 1]) == bool(only))
    return _by_distance(torch.stack(right).float().mean(0), test, shape)


def predicted_by_distance(
    rates: Sequence[int], shape: tuple[int, ...], thickness: int, *, seed: int, count: int
) -> np.ndarray:
    """What ``accuracy_by_distance`` has to be for a stack of 3-tap convolutions that uses all it reads.

    A pixel is right if it reads any of the marker, and half the time if not. Zero padding counts: a way to the
    marker that swings out over the border on its way is lost, so that the exact read set of each place is asked for.
    """
    test = bars(count, shape, thickness, held_back(seed))
    told = 0.5 + 0.5 * (test.markers.float() @ read_sets(tuple(rates), shape[-1]).T.float() > 0)
    return _by_distance(told.view(count, *(1,) * (len(shape) - 1), -1).expand_as(test.labels), test, shape)


@lru_cache(maxsize=64)
def read_sets(rates: tuple[int, ...], length: int) -> Tensor:
    """Which inputs each output of a stack reads along an axis of so many places: ``[output, input]``.

    The straight way across the other axes never leaves the picture, so that one axis decides.

    >>> read_sets((1, 3), 5).int().tolist()   # the middle's only ways to both ends begin beyond them
    [[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]]
    """
    with torch.random.fork_rng(devices=[]):
        reach = rf.of(normed_stack(rates, 1, channels=1, dimensions=1).eval(), (1, length))
    return torch.stack([reach.at(place).mask for place in range(length)])


def _by_distance(values: Tensor, test: Bars, shape: tuple[int, ...]) -> np.ndarray:
    return np.array([values[test.distances == at].mean().item() for at in distances(shape)])


def distances(shape: tuple[int, ...]) -> np.ndarray:
    """The distances that every bar of this shape has."""
    return np.arange(HALF + 1, shape[-1] - LATEST_START - HALF)


def knee(accuracy: np.ndarray, at: np.ndarray) -> int:
    """The farthest distance at which three of four pixels are told right; 0 if there is none.

    >>> knee(np.array([1.0, 0.8, 0.5]), np.array([2, 3, 4]))
    3
    """
    return int(max(at[accuracy >= 0.75], default=0))


def measured(arm: Arm, shape: tuple[int, ...], thickness: int, *, steps: int, seed: int, effort: float) -> Numbers:
    """An arm's network, trained: accuracy by distance beside its prediction, the farthest that is good, the error."""
    network = trained_on_bars(arm.make(), shape, thickness, steps=steps * effort, seed=seed)
    count = tests(TESTS, effort)
    accuracy = accuracy_by_distance(network, shape, thickness, seed=seed, count=count)
    expected = predicted_by_distance(arm.rates, shape, thickness, seed=seed, count=count)
    return {
        "accuracy": accuracy,
        "predicted": expected,
        "knee": np.array(knee(accuracy, distances(shape))),
        "off": np.abs(accuracy - expected).mean(),
    }
