"""A sample is a picture with its mask of ids; training, evaluation and ``check`` know only samples.

Samples that come from files were decoded once, through the gate in ``segmentation.images``, before anything is
trained: a file that cannot be used is named then, and left out; what cannot be read in one file changes no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, Protocol

import numpy as np

from segmentation.data.masks import Decoder, Encoding, Seen, decide, look
from segmentation.data.pairs import Pair
from segmentation.images import SMALLEST_SIDE, read_image
from segmentation.palette import IGNORE, Classes
from shared.errors import InputError, refusal, shown
from shared.folders import Progress, examined


class Sample(Protocol):
    """``name`` for messages, ``size`` (height, width), ``counts [k + 1]``: pixels of each class, and those ignored."""

    name: str
    size: tuple[int, int]
    counts: np.ndarray

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """The picture, uint8 ``[h, w, 3]``, and its mask, uint8 ``[h, w]``: ids, 255 where ignored."""
        ...


@dataclass(frozen=True, eq=False)
class PairSample:
    """A sample that lies in two files."""

    pair: Pair
    size: tuple[int, int]
    counts: np.ndarray
    decoder: Decoder

    @property
    def name(self) -> str:
        """What the two files share."""
        return self.pair.name

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Decode both files; raise InputError where they have changed or gone bad since they were scanned."""
        pixels, ids = read_image(self.pair.image, thorough=False).pixels, self.decoder.read(self.pair.mask)
        for path, array in ((self.pair.image, pixels), (self.pair.mask, ids)):
            if array.shape[:2] != self.size:
                raise refusal(path, "has another size than when it was checked", "run the command again")
        return pixels, ids


@dataclass(frozen=True, eq=False)
class ArraySample:
    """A sample that is in memory."""

    name: str
    pixels: np.ndarray
    ids: np.ndarray
    classes: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.ids.shape[:2]

    @property
    def counts(self) -> np.ndarray:
        """Pixels of each class, and last those ignored."""
        return counted(self.ids, self.classes)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """The arrays themselves."""
        return self.pixels, self.ids


@dataclass(frozen=True)
class Samples:
    """What a source holds; ``refused`` and ``remarks`` are lines for the user."""

    train: Sequence[Sample]
    validation: Sequence[Sample]
    classes: Classes
    refused: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def pixels(self) -> np.ndarray:
        """Training pixels of each class, int64 ``[k]``."""
        return pixels_of(self.train, self.classes.count)

    @property
    def fingerprint(self) -> str:
        """Names, sizes and sides of all samples, and the classes, in a few characters; the same wherever they lie."""
        lines = [f"class {name}" for name in self.classes.names]
        for side, samples in (("train", self.train), ("validation", self.validation)):
            lines += [f"{side} {sample.name} {sample.size} {sample.counts.tolist()}" for sample in samples]
        return sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]


class Scan(NamedTuple):
    """What a scan of files came to."""

    samples: list[PairSample | None]
    """In the order of the pairs; None where one of its files was refused."""
    decoder: Decoder
    refused: list[str]
    remarks: list[str]


def counted(ids: np.ndarray, classes: int) -> np.ndarray:
    """Pixels of each class, and last those ignored, int64 ``[classes + 1]``.

    >>> counted(np.array([[0, 2, 2, 255]], np.uint8), 3).tolist()
    [1, 0, 2, 1]
    """
    each = np.bincount(ids.ravel(), minlength=256)
    return np.append(each[:classes], each[IGNORE])


def pixels_of(samples: Sequence[Sample], classes: int) -> np.ndarray:
    """Pixels of each class over all samples, int64 ``[classes]``."""
    return sum((sample.counts[:classes] for sample in samples), np.zeros(classes, np.int64))


def scan(
    pairs: Sequence[Pair],
    classes: Classes | None = None,
    encoding: Encoding = "auto",
    workers: int = 2,
    progress: Progress | None = None,
) -> Scan:
    """Decode every file once, on ``workers`` threads, and decide how the masks are read.

    ``progress(done, total)`` is called after every pair. Raises InputError where nothing is left, or where the masks
    as a whole cannot be read (``segmentation.data.masks.decide``).
    """
    answers = examined(_examine, pairs, workers, progress)
    seen = [answer.seen for answer in answers if not isinstance(answer, str)]
    refused = [answer for answer in answers if isinstance(answer, str)]
    if not seen:
        raise InputError(f"no usable pair of picture and mask, {len(refused)} refused; the first: {refused[0]}")
    decoder, remarks = decide(seen, classes, encoding)
    samples: list[PairSample | None] = []
    for pair, answer in zip(pairs, answers, strict=True):
        sample = None if isinstance(answer, str) else _sample(pair, answer, decoder, refused, remarks)
        samples.append(sample)
    if not any(samples):
        raise InputError(f"no usable pair of picture and mask, {len(refused)} refused; the first: {refused[0]}")
    return Scan(samples, decoder, refused, remarks)


class _Looked(NamedTuple):
    remarks: tuple[str, ...]
    seen: Seen


def _examine(pair: Pair) -> _Looked | str:
    try:
        picture = read_image(pair.image)
        seen = look(pair.mask)
    except InputError as error:
        return str(error)
    (height, width), size = picture.pixels.shape[:2], seen.size
    if min(height, width) < SMALLEST_SIDE:
        return str(refusal(pair.image, picture.remarks[0], "leave it out"))
    if (height, width) != size:
        reason = f"is {size[1]} × {size[0]} pixels, but its picture is {width} × {height}"
        return str(refusal(pair.mask, reason, "save both in one size, upright"))
    return _Looked(picture.remarks, seen)


def _sample(pair: Pair, looked: _Looked, decoder: Decoder, refused: list[str], remarks: list[str]) -> PairSample | None:
    seen, counts = looked.seen, decoder.count(looked.seen)
    if counts is None:
        try:
            counts = counted(decoder.read(pair.mask), decoder.classes.count)
        except InputError as error:
            refused.append(str(error))
            return None
    remarks += [f"{shown(pair.image)}: {text}" for text in looked.remarks]
    remarks += [f"{shown(pair.mask)}: {text}" for text in seen.remarks]
    if counts[-1] == counts.sum():
        remarks.append(f"{shown(pair.mask)}: every pixel is ignored, so nothing is learnt from it")
    return PairSample(pair, seen.size, counts, decoder)
