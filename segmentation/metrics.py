"""Scores: one confusion matrix over all pixels of whole pictures, and everything that follows from it.

Pixels that are ignored in the target count nowhere. A class that occurs neither in the targets nor in the
predictions has no IoU: it is None, shown as "–", and no part of any mean; it is never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from segmentation.palette import IGNORE

TOLERANCE = 0.0075  # of the diagonal: how far a boundary may be off, as in Csurka et al. 2013
NONE = "–"

Array = np.ndarray | Tensor


class Confusion:
    """``counts[t, p]``, int64 ``[k, k]``: pixels of class t that were predicted as class p.

    >>> confusion = Confusion(3)
    >>> confusion.add(np.array([[0, 0, 1, 255]]), np.array([[0, 1, 1, 2]]))
    >>> confusion.iou
    [0.5, 0.5, None]
    >>> confusion.mean_iou
    0.5
    """

    def __init__(self, classes: int, counts: np.ndarray | None = None):
        self.classes = classes
        self.counts = np.zeros((classes, classes), np.int64) if counts is None else np.array(counts, np.int64)
        if self.counts.shape != (classes, classes):
            raise ValueError(f"counts are {list(self.counts.shape)}, not {[classes, classes]}")

    def add(self, target: Array, predicted: Array, ignore: int = IGNORE) -> None:
        """Count two arrays of ids of one shape, of any device and integer type.

        Raises ValueError where the shapes differ, or an id is neither a class nor, in the target, ``ignore``.
        """
        target, predicted = (torch.as_tensor(each).long().flatten() for each in _same(target, predicted))
        valid = target != ignore
        target, predicted = target[valid], predicted[valid]
        if not len(target):
            return
        for name, ids in (("target", target), ("predicted", predicted)):
            low, high = int(ids.min()), int(ids.max())
            if low < 0 or high >= self.classes:
                raise ValueError(f"{name} holds {low if low < 0 else high}; the classes are 0 to {self.classes - 1}")
        counts = torch.bincount(target * self.classes + predicted, minlength=self.classes**2)
        self.counts += counts.reshape(self.classes, self.classes).cpu().numpy()

    def __add__(self, other: Confusion) -> Confusion:
        """Both together, such as those of two processes."""
        return Confusion(self.classes, self.counts + other.counts)

    @property
    def pixels(self) -> int:
        """How many were counted."""
        return int(self.counts.sum())

    @property
    def iou(self) -> list[float | None]:
        """Per class, of the pixels that are it or were predicted as it, the share that are both."""
        right = np.diag(self.counts)
        return _shares(right, self.counts.sum(0) + self.counts.sum(1) - right)

    @property
    def accuracy(self) -> list[float | None]:
        """Per class, the share of its pixels that were predicted as it (recall)."""
        return _shares(np.diag(self.counts), self.counts.sum(1))

    @property
    def precision(self) -> list[float | None]:
        """Per class, the share of the pixels predicted as it that are it."""
        return _shares(np.diag(self.counts), self.counts.sum(0))

    @property
    def mean_iou(self) -> float | None:
        """Mean over the classes that have an IoU."""
        return mean(self.iou)

    @property
    def mean_accuracy(self) -> float | None:
        """Mean over the classes that occur in the targets."""
        return mean(self.accuracy)

    @property
    def pixel_accuracy(self) -> float | None:
        """The share of all pixels that were predicted right."""
        return _shares(np.trace(self.counts)[None], self.counts.sum()[None])[0]

    def to_json(self, names: Sequence[str], boundary: Boundary | None = None) -> dict[str, Any]:
        """Everything as plain JSON values; None where there is nothing to measure."""
        scores = boundary.scores if boundary else [None] * self.classes
        columns = zip(names, self.iou, self.accuracy, self.precision, scores, self.counts.sum(1).tolist(), strict=True)
        keys = ("name", "iou", "accuracy", "precision", "boundary_f", "pixels")
        values = {
            "mean_iou": self.mean_iou,
            "pixel_accuracy": self.pixel_accuracy,
            "mean_accuracy": self.mean_accuracy,
            "mean_boundary_f": mean(scores),
            "pixels": self.pixels,
            "classes": [dict(zip(keys, row, strict=True)) for row in columns],
            "confusion": self.counts.tolist(),
        }
        if not boundary:
            del values["mean_boundary_f"]
            for row in values["classes"]:
                del row["boundary_f"]
        return values

    def table(self, names: Sequence[str], boundary: Boundary | None = None) -> str:
        """Lines of text: a row for each class, then the means; in percent.

        >>> confusion = Confusion(2, np.array([[6, 2], [0, 0]]))
        >>> print(confusion.table(["sky", "sea"]))
        class   IoU  accuracy  precision  pixels
        sky    75.0      75.0      100.0   100.0
        sea     0.0         –        0.0     0.0
        mean   37.5      75.0
        all pixels right: 75.0 %
        """
        share = _shares(self.counts.sum(1), np.full(self.classes, self.pixels))
        heads = ["class", "IoU", "accuracy", "precision", "pixels"]
        columns = [list(names), *(_percents(each) for each in (self.iou, self.accuracy, self.precision, share))]
        means = ["mean", *_percents([self.mean_iou, self.mean_accuracy]), "", ""]
        if boundary:
            heads.insert(4, "boundary F")
            columns.insert(4, _percents(boundary.scores))
            means.insert(4, *_percents([boundary.mean]))
        rows = [heads, *(list(row) for row in zip(*columns, strict=True)), means]
        first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
        lines = ["  ".join([row[0].ljust(first), *map(str.rjust, row[1:], others)]) for row in rows]
        last = f"all pixels right: {_percents([self.pixel_accuracy])[0]} %"
        return "\n".join([*(line.rstrip() for line in lines), last])


class Boundary:
    """The boundary F-score of each class: are its outlines where they should be?

    Csurka, Larlus, Perronnin, "What is a good evaluation measure for semantic segmentation?", BMVC 2013. In each
    picture, precision is the share of a predicted outline that lies within the tolerance of the true one, recall
    the share of the true one within the tolerance of the predicted, and F their harmonic mean; a class scores the
    mean over the pictures in which it has an outline, true or predicted. An outline is made of the pixels of a class
    that touch another class, up, down, left or right; the picture's edge and ignored pixels make none, and what was
    predicted on ignored pixels counts nowhere.
    """

    def __init__(self, classes: int, tolerance: float = TOLERANCE):
        self.classes, self.tolerance = classes, tolerance
        self.sums, self.pictures = np.zeros(classes), np.zeros(classes, np.int64)

    def add(self, target: Array, predicted: Array, ignore: int = IGNORE) -> None:
        """Score one whole picture: ids ``[h, w]``. Raises ValueError where the shapes differ."""
        target, predicted = (torch.as_tensor(each) for each in _same(target, predicted))
        valid = target != ignore
        radius = self.tolerance * math.hypot(*target.shape)
        present = {int(each) for ids in (target, predicted) for each in torch.unique(ids[valid])}
        for each in sorted(present):
            true, found = (outline(ids == each, valid) for ids in (target, predicted))
            counts = int(true.sum()), int(found.sum())
            if not any(counts):
                continue
            self.pictures[each] += 1
            if not all(counts):
                continue  # an outline that was missed, or made up: 0
            recall = int((true & within(found, radius)).sum()) / counts[0]
            precision = int((found & within(true, radius)).sum()) / counts[1]
            if precision + recall:
                self.sums[each] += 2 * precision * recall / (precision + recall)

    def __add__(self, other: Boundary) -> Boundary:
        """Both together."""
        both = Boundary(self.classes, self.tolerance)
        both.sums, both.pictures = self.sums + other.sums, self.pictures + other.pictures
        return both

    @property
    def scores(self) -> list[float | None]:
        """Per class; None where it never has an outline."""
        return _shares(self.sums, self.pictures)

    @property
    def mean(self) -> float | None:
        """Mean over the classes that have a score."""
        return mean(self.scores)


def outline(inside: Tensor, valid: Tensor) -> Tensor:
    """The valid pixels of a region that touch a valid pixel outside of it: bool ``[h, w]`` all three."""
    outside = valid & ~inside
    touched = torch.zeros_like(outside)
    touched[1:] |= outside[:-1]
    touched[:-1] |= outside[1:]
    touched[:, 1:] |= outside[:, :-1]
    touched[:, :-1] |= outside[:, 1:]
    return inside & valid & touched


def within(marks: Tensor, radius: float) -> Tensor:
    """Where a mark is at most ``radius`` pixels away, in a straight line: bool ``[h, w]``."""
    height = marks.shape[0]
    wide, reach = marks, -1  # one line's width at a time: they only get narrower
    near = torch.zeros_like(marks)
    for down in range(min(int(radius), height - 1) + 1):  # a disc is a stack of lines
        half = int(math.sqrt(radius**2 - down**2))
        if half != reach:
            wide, reach = _widened(marks, half), half
        near[down:] |= wide[: height - down]
        near[: height - down] |= wide[down:]
    return near


def _widened(marks: Tensor, half: int) -> Tensor:
    """Where a mark is at most ``half`` columns away: by running counts, so a wide line costs what a narrow one does."""
    width = marks.shape[1]
    counts = F.pad(marks.to(torch.int32).cumsum(1, dtype=torch.int32), (1, 0))
    columns = torch.arange(width, device=marks.device)
    ends, starts = (columns + half + 1).clamp(max=width), (columns - half).clamp(min=0)
    return counts[:, ends] > counts[:, starts]


def mean(values: Sequence[float | None]) -> float | None:
    """Of those that are there; None where none is."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


def _same(target: Array, predicted: Array) -> tuple[Array, Array]:
    if tuple(target.shape) != tuple(predicted.shape):
        raise ValueError(f"target is {list(target.shape)} and predicted is {list(predicted.shape)}")
    return target, predicted


def _shares(parts: np.ndarray, wholes: np.ndarray) -> list[float | None]:
    return [float(part / whole) if whole else None for part, whole in zip(parts, wholes, strict=True)]


def _percents(values: Sequence[float | None]) -> list[str]:
    return [NONE if value is None else f"{100 * value:.1f}" for value in values]
