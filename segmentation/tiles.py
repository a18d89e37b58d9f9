"""Scores for a picture of any size, in pieces, so that memory stays flat: only ids need ever exist as a whole.

Three ways, the first that applies. ``whole``: the network sees the picture at once; its coarse answer is enlarged
strip by strip. ``exact``: where the network sees a finite neighbourhood (``halo``), tiles with that margin answer as
the whole picture does. ``blended``: elsewhere tiles overlap, and in the overlap probabilities fade from one tile to
the next. The last is an approximation, since a tile knows less of the picture than the picture does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from segmentation.fast import InferenceForm
from segmentation.transforms import IMAGENET, Normalisation, flip, resize

MOST_WHOLE, MOST_TILE = 2**30, 2**29  # bytes of features at once: of a whole picture, of a tile
LARGEST_TILE = 2048  # pixels a side
STRIP = 2**23  # bytes of scores that are enlarged at once: what a cache holds


class Piece(NamedTuple):
    """Finished scores ``[k, h, w]`` and where they lie in the picture."""

    top: int
    left: int
    scores: Tensor


@dataclass(frozen=True, kw_only=True)
class Views:
    """How a picture is looked at: in which sizes, and whether mirrored as well; answers are averaged."""

    normalisation: Normalisation = IMAGENET
    scales: tuple[float, ...] = (1.0,)
    """Factors of its size."""
    flip: bool = False

    def __post_init__(self):
        if not self.scales or not all(0.1 <= scale <= 8 for scale in self.scales):
            raise ValueError(f"scales are one or more factors from 0.1 to 8, not {list(self.scales)}")

    @property
    def single(self) -> bool:
        """Whether there is nothing to average."""
        return len(self.scales) == 1 and not self.flip

    @property
    def cost(self) -> float:
        """Pixels of the largest view, as a share of the picture's."""
        return max(self.scales) ** 2

    def maps(self, form: InferenceForm, pixels: np.ndarray) -> list[Tensor]:
        """Coarse logits ``[1, k, h', w']`` of every view, turned back: from uint8 ``[h, w, 3]``."""
        maps = []
        for scale in self.scales:
            size = tuple(max(1, round(side * scale)) for side in pixels.shape[:2])
            view = pixels if scale == 1 else resize(pixels, size)
            maps.append(form.coarse(self.normalisation.tensor(view)))
            if self.flip:
                maps.append(form.coarse(self.normalisation.tensor(flip(view))).flip(3))
        return maps


def whole(form: InferenceForm, pixels: np.ndarray, views: Views, *, soft: bool) -> Iterator[Piece]:
    """The picture at once. Scores are logits, or probabilities where ``soft``; several views need that."""
    size = pixels.shape[:2]
    maps = views.maps(form, pixels)
    for first, end in _strips(0, size, form.classes):
        yield Piece(first, 0, _scores(maps, size, first, end, soft))


def exact(form: InferenceForm, pixels: np.ndarray, views: Views, side: int, *, soft: bool) -> Iterator[Piece]:
    """Tiles of ``side`` pixels, the network's halo included: what ``whole`` gives, up to rounding. One view only.

    Coarse cells are computed tile by tile and put together to a strip as wide as the picture, and only then
    enlarged, so that no enlargement sees the edge of a tile. Tiles are larger than ``side`` where that is less than
    three halos.
    """
    if form.halo is None or not views.single or views.scales != (1.0,):
        raise ValueError("exact tiles need a network with a finite halo, and one view of the picture as it is")
    jump, size = form.jump, pixels.shape[:2]
    height, width = (-(-length // jump) for length in size)
    margin = -(-form.halo // jump)
    core = max(1, margin, side // jump - 2 * margin)  # less would be nearly all margin

    def cells(top: int, bottom: int, left: int, right: int) -> Tensor:
        first_row, first_column = max(0, top - margin), max(0, left - margin)
        tile = pixels[first_row * jump : (bottom + margin) * jump, first_column * jump : (right + margin) * jump]
        (answer,) = views.maps(form, tile)
        return answer[:, :, top - first_row : bottom - first_row, left - first_column : right - first_column]

    for start in range(0, size[0], core * jump):
        stop = min(start + core * jump, size[0])
        top, bottom = rows_needed(height, size[0], start, stop)
        lefts = range(0, width, core)
        strip = torch.cat([cells(top, bottom, left, min(left + core, width)) for left in lefts], dim=3)
        for first, end in _strips(start, (stop, size[1]), form.classes):
            yield Piece(first, 0, _scores([strip], size, first, end, soft, top, height))


def blended(form: InferenceForm, pixels: np.ndarray, views: Views, side: int, overlap: int) -> Iterator[Piece]:
    """Tiles of about ``side`` pixels that share ``overlap``; scores are probabilities.

    Along each axis the weights of neighbours add up to 1, so what a tile lacks is exactly what the next one brings:
    it is kept until then, and everything else is finished and leaves.
    """
    height, width = pixels.shape[:2]
    rows, columns = _cuts(height, side, overlap, form.jump), _cuts(width, side, overlap, form.jump)
    below = torch.zeros(form.classes, overlap, width if len(rows) > 1 else 0, device=form.device)
    right = below[:, :0, :0]
    for top, bottom in rows:
        for left, end in columns:
            tile = pixels[top:bottom, left:end]
            maps = views.maps(form, tile)
            share = _scores(maps, tile.shape[:2], 0, bottom - top, soft=True)
            share *= _window(bottom - top, overlap, top > 0, bottom < height).to(form.device)[:, None]
            share *= _window(end - left, overlap, left > 0, end < width).to(form.device)
            if left > 0:
                share[:, :, :overlap] += right
            if end < width:
                right = share[:, :, -overlap:].clone()
                share = share[:, :, :-overlap]
            columns_done = slice(left, left + share.shape[2])
            if top > 0:
                share[:, :overlap] += below[:, :, columns_done]
            if bottom < height:
                below[:, :, columns_done] = share[:, -overlap:]
                share = share[:, :-overlap]
            yield Piece(top, left, share)


def largest_whole(form: InferenceForm, views: Views) -> int:
    """Pixels up to which a picture is looked at as a whole unless told otherwise: two gibibytes of features."""
    return int(MOST_WHOLE / (form.bytes_per_pixel * views.cost))


def best_side(form: InferenceForm, views: Views) -> int:
    """The side of a tile, in pixels, unless told otherwise: half a gibibyte of features and scores."""
    scores = 4 * 4 * form.classes  # at full size, and copies
    side = int(math.sqrt(MOST_TILE / (form.bytes_per_pixel * views.cost + scores)))
    side = min(max(side, 4 * (form.halo or 0)), LARGEST_TILE)
    return max(side // form.jump, 4) * form.jump


def enlarged_rows(
    coarse: Tensor, size: tuple[int, int], first: int, end: int, top: int = 0, height: int | None = None
) -> Tensor:
    """Rows ``first`` to ``end`` of the bilinear enlargement to ``size``: ``[b, k, h', w'] -> [b, k, end − first, w]``.

    So a large enlargement need not exist as a whole. ``coarse`` may be a strip itself: its first row is ``top`` of a
    map that has ``height`` rows; ``rows_needed`` says which must be in it.
    """
    height = coarse.shape[2] if height is None else height
    if height == size[0]:  # nothing to interpolate from row to row
        rows = coarse[:, :, first - top : end - top]
    else:
        place = _places(height, size[0], first, end).to(coarse.device)
        above = place.long()
        below = (above + 1).clamp_(max=height - 1)
        share = (place - above)[:, None]
        rows = torch.lerp(coarse[:, :, above - top], coarse[:, :, below - top], share)
    if rows.shape[3] == size[1]:
        return rows
    # channels_last, in which both this and the argmax that follows are quickest
    rows = rows.contiguous(memory_format=torch.channels_last)
    return F.interpolate(rows, size=(end - first, size[1]), mode="bilinear", align_corners=False)


def rows_needed(height: int, wanted: int, first: int, end: int) -> tuple[int, int]:
    """Which of ``height`` coarse rows go into rows ``first`` to ``end`` of ``wanted``: from, and up to but without."""
    if height == wanted:
        return first, end
    places = _places(height, wanted, first, end)
    return int(places[0]), min(int(places[-1]) + 2, height)


def _places(height: int, wanted: int, first: int, end: int) -> Tensor:
    """Where rows lie among the coarse ones; in float32 and in this order, as torch's own interpolation has it."""
    scale = torch.tensor(height, dtype=torch.float32) / wanted
    return (scale * (torch.arange(first, end, dtype=torch.float32) + 0.5) - 0.5).clamp_(min=0)


def _scores(
    maps: Sequence[Tensor],
    size: tuple[int, int],
    first: int,
    end: int,
    soft: bool,
    top: int = 0,
    height: int | None = None,
) -> Tensor:
    """Rows of the mean over all views, ``[k, end − first, w]``: probabilities, or the logits of the only view."""
    if not soft:
        (only,) = maps
        return enlarged_rows(only, size, first, end, top, height)[0]
    total: Tensor | None = None
    for each in maps:
        # softmax over strides of one is five times slower
        probabilities = enlarged_rows(each, size, first, end, top, height).contiguous().softmax(1)
        total = probabilities if total is None else total.add_(probabilities)
    return total.div_(len(maps))[0]


def _strips(start: int, size: tuple[int, int], classes: int) -> Iterator[tuple[int, int]]:
    """Rows from ``start`` to ``size[0]``, a few at a time."""
    step = max(1, STRIP // (4 * classes * size[1]))
    for first in range(start, size[0], step):
        yield first, min(first + step, size[0])


def _cuts(length: int, side: int, overlap: int, unit: int) -> list[tuple[int, int]]:
    """Tiles along one axis, about equally long, each of which shares ``overlap`` with the next.

    They begin at multiples of ``unit``, where the cells of the whole picture begin.

    >>> _cuts(1000, side=512, overlap=64, unit=32)
    [(0, 384), (320, 704), (640, 1000)]
    """
    if length <= side:
        return [(0, length)]
    if side < 3 * overlap or overlap < 1 or side - overlap < unit:
        raise ValueError(f"tiles of {side} pixels cannot share {overlap}; a third of the side is the most")
    count = math.ceil((length - overlap) / (side - overlap))
    step = math.ceil((length - overlap) / count / unit) * unit
    return [(start, min(start + step + overlap, length)) for start in range(0, length - overlap, step)]


def _window(length: int, overlap: int, rises: bool, falls: bool) -> Tensor:
    """Weights ``[length]``: 1, but rising over the first ``overlap`` and falling over the last, as told."""
    ramp = torch.sin((torch.arange(overlap) + 0.5) * (math.pi / 2 / overlap)).square()
    window = torch.ones(length)
    if rises:
        window[:overlap] = ramp
    if falls:
        window[-overlap:] = ramp.flip(0)
    return window
