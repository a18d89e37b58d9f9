"""A built-in source that needs no data: circles, squares and triangles, of any colour, on any ground.

The class is the form alone. Position, size, turn and number are random; every shape, the ground and a scatter of
clutter lines take their colours from one distribution, and shapes and ground are shaded and noisy. So neither a
constant mask nor a threshold on colour solves it. Shapes may be cut by the picture's edge and touch, but hide one
another by their tips at most: what is left of a hidden form need not tell which it was, and the mask is exact. A
picture is a pure function of ``(seed, index)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from segmentation.data.samples import Progress, Samples, counted
from segmentation.palette import Classes, numbered

NAMES = ("background", "circle", "square", "triangle")
MOST_SHAPES = 6
SMALLEST, LARGEST = 0.14, 0.32  # radius of the circle around a shape, as a share of the picture's shorter side
APART = 0.9  # least distance of two centres, as a share of the sum of their radii
TRIES = 20  # places tried for a shape before the picture goes without it
CONTRAST = 70  # least distance of a shape's colour from what lies around it, in levels
DARKEST_THING = 120  # of bodies and strokes, in levels; their ground is darker by ``CONTRAST``, before both are shaded
NOISE = 8.0  # standard deviation, in levels


def draw(size: tuple[int, int], random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A picture, uint8 ``[h, w, 3]``, and its mask, uint8 ``[h, w]``: 0 ground, 1 circle, 2 square, 3 triangle.

    >>> pixels, ids = draw((48, 64), np.random.default_rng(0))
    >>> pixels.shape, ids.shape, int(ids.max()) <= 3
    ((48, 64, 3), (48, 64), True)
    """
    height, width = size
    row, column = np.mgrid[:height, :width].astype(np.float32)
    ground = random.uniform(0, 255, 3)
    pixels = _shade(ground, row, column, random)
    for _ in range(random.integers(0, 6)):  # clutter: lines are ground
        near = np.abs(_edge(row, column, *random.uniform(0, 1, 2) * size, random.uniform(0, 2 * np.pi)))
        pixels[near < random.uniform(0.5, 1.5)] = random.uniform(0, 255, 3)
    ids = np.zeros(size, np.uint8)
    placed: list[tuple[np.ndarray, float]] = []
    for _ in range(random.integers(1, MOST_SHAPES + 1)):
        kind = int(random.integers(1, len(NAMES)))
        radius = random.uniform(SMALLEST, LARGEST) * min(size)
        centre = _place(radius, size, placed, random)
        if centre is None:
            continue
        placed.append((centre, radius))
        inside = _inside(kind, row, column, centre, radius, random.uniform(0, 2 * np.pi))
        around = pixels[inside].mean(0) if inside.any() else ground
        pixels[inside] = _shade(_contrasting(around, random), row, column, random)[inside]
        ids[inside] = kind
    return _noisy(pixels, random), ids


def draw_strokes(size: tuple[int, int], random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """As ``draw``, with other classes: 0 ground, 1 body (any filled shape), 2 stroke (a line 1 to 3 pixels wide).

    What stands on the ground is lighter than it; bodies and strokes share their colours, and only width tells them
    apart. Strokes are what a coarse map cannot hold. Things may hide one another.

    >>> draw_strokes((48, 64), np.random.default_rng(0))[1].shape
    (48, 64)
    """
    row, column = np.mgrid[: size[0], : size[1]].astype(np.float32)
    pixels, ids = _shade(random.uniform(0, DARKEST_THING - CONTRAST, 3), row, column, random), np.zeros(size, np.uint8)
    for kind in random.permutation([1] * random.integers(1, 4) + [2] * random.integers(2, 5)):
        centre, turn = random.uniform(0.1, 0.9, 2) * size, random.uniform(0, 2 * np.pi)
        if kind == 1:
            radius = random.uniform(SMALLEST, LARGEST) * min(size)
            inside = _inside(int(random.integers(1, len(NAMES))), row, column, centre, radius, turn)
        else:
            along, across = _edge(row, column, *centre, turn), _edge(row, column, *centre, turn + np.pi / 2)
            long = random.uniform(0.4, 0.9) * min(size)
            inside = (np.abs(across) <= random.uniform(0.5, 1.5)) & (np.abs(along) <= long / 2)
        if inside.any():
            colour = _contrasting(pixels[inside].mean(0), random, darkest=DARKEST_THING)
            pixels[inside] = _shade(colour, row, column, random)[inside]
            ids[inside] = kind
    return _noisy(pixels, random), ids


@dataclass(frozen=True, eq=False)
class ShapesSample:
    """One picture of shapes, drawn when it is first read."""

    seed: int
    index: int
    size: tuple[int, int]

    @property
    def name(self) -> str:
        """Its number."""
        return f"shapes {self.index}"

    @cached_property
    def counts(self) -> np.ndarray:
        """Pixels of each class, and last those ignored: none."""
        return counted(self.read()[1], len(NAMES))

    @cached_property
    def drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """Its pixels and its mask; drawn once, since training sees it again and again."""
        return draw(self.size, np.random.default_rng([self.seed, self.index]))

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """The pixels and the mask."""
        return self.drawn


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Pictures of shapes, made from a seed."""

    tagged = True

    count: int = 1_000
    """How many, validation included."""
    size: tuple[int, int] = (96, 128)
    """Height and width."""
    seed: int = 0
    """Of the pictures."""

    def __post_init__(self):
        if self.count < 2 or len(self.size) != 2 or min(self.size) < 16:
            raise ValueError("shapes: at least 2 pictures of at least 16 × 16 pixels")

    def load(self, validation: float, progress: Progress | None = None) -> Samples:  # noqa: ARG002
        """Nothing is drawn yet; the last share is held back."""
        samples = [ShapesSample(self.seed, index, tuple(self.size)) for index in range(self.count)]
        held = min(max(1, round(self.count * validation)), self.count - 1) if validation else 0
        return Samples(samples[: self.count - held], samples[self.count - held :], classes())


@lru_cache(maxsize=1)
def classes() -> Classes:
    """The four classes."""
    return numbered(len(NAMES), NAMES)


def _noisy(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Levels, uint8, from numbers around them."""
    pixels = pixels + random.normal(0, NOISE, pixels.shape).astype(np.float32)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _shade(colour: Sequence[float], row: np.ndarray, column: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A colour that grows lighter in a random direction, float32 ``[h, w, 3]``."""
    slope = random.uniform(-30, 30, 2) / np.array(row.shape)
    ramp = slope[0] * (row - row.mean()) + slope[1] * (column - column.mean())
    return np.asarray(colour, np.float32) + ramp[:, :, None].astype(np.float32)


def _place(
    radius: float, size: tuple[int, int], placed: list[tuple[np.ndarray, float]], random: np.random.Generator
) -> np.ndarray | None:
    """Where a shape finds room, or None."""
    for _ in range(TRIES):
        centre = random.uniform(0.5 * radius, np.array(size) - 0.5 * radius)
        if all(np.hypot(*(centre - other)) > APART * (radius + reach) for other, reach in placed):
            return centre
    return None


def _contrasting(around: np.ndarray, random: np.random.Generator, darkest: float = 0) -> np.ndarray:
    for _ in range(1000):  # some surroundings leave hardly a colour, or none
        colour = random.uniform(darkest, 255, 3)
        if np.abs(colour - around).max() >= CONTRAST:
            break
    return colour


def _edge(row: np.ndarray, column: np.ndarray, y: float, x: float, turn: float) -> np.ndarray:
    """Signed distance from a line through ``(y, x)``."""
    return (row - y) * np.cos(turn) + (column - x) * np.sin(turn)


def _inside(
    kind: int, row: np.ndarray, column: np.ndarray, centre: np.ndarray, radius: float, turn: float
) -> np.ndarray:
    if kind == 1:
        return (row - centre[0]) ** 2 + (column - centre[1]) ** 2 <= radius**2
    sides = 4 if kind == 2 else 3  # a regular polygon lies on the inner side of all of its sides
    reach = radius * np.cos(np.pi / sides)
    angles = turn + 2 * np.pi * np.arange(sides) / sides
    return np.all([_edge(row, column, *centre, angle) <= reach for angle in angles], axis=0)
