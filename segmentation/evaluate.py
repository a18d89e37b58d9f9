"""How good a model is on pictures whose masks are known: whole pictures, all pixels, one confusion matrix.

In float32 unless asked otherwise. Besides the scores there are two pictures: the confusion matrix, and the samples
on which the model does worst.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from segmentation.check import stacked
from segmentation.data.samples import Progress, Sample
from segmentation.metrics import Boundary, Confusion
from segmentation.model import SegmentationModel
from segmentation.palette import IGNORE, Classes, legend, overlay, side_by_side
from segmentation.transforms import resize, resize_ids
from shared.errors import InputError

MOST_NUMBERS = 25  # classes up to which the confusion matrix shows numbers
HEIGHT, WIDEST = 200, 480  # pixels of a picture on the sheet
WRONG = (230, 30, 30)


@dataclass(frozen=True)
class PictureScore:
    """One sample's own mean IoU, over the classes that it holds or was predicted to hold; None where all is ignored."""

    name: str
    mean_iou: float | None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All scores. ``pictures`` are in the order of the samples; ``seconds`` is the time that predictions took."""

    classes: Classes
    confusion: Confusion
    boundary: Boundary | None
    pictures: tuple[PictureScore, ...]
    seconds: float

    @property
    def images_per_second(self) -> float:
        """Predictions a second; reading and scoring not counted."""
        return len(self.pictures) / self.seconds if self.seconds else 0.0

    def lines(self) -> list[str]:
        """A table of classes and the means, as text."""
        table = self.confusion.table(self.classes.names, self.boundary).splitlines()
        count = len(self.pictures)
        return [*table, f"{count} picture{'s' * (count != 1)} · {self.images_per_second:.2f} a second"]

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values, with the score of each picture."""
        return {
            **self.confusion.to_json(self.classes.names, self.boundary),
            "images": len(self.pictures),
            "images_per_second": self.images_per_second,
            "pictures": [{"name": each.name, "mean_iou": each.mean_iou} for each in self.pictures],
        }

    def worst(self, count: int = 4) -> list[int]:
        """Which pictures have the lowest mean IoU, the lowest first; those without one are left out."""
        scored = [at for at, picture in enumerate(self.pictures) if picture.mean_iou is not None]
        return sorted(scored, key=lambda at: self.pictures[at].mean_iou)[:count]


def evaluate(
    model: SegmentationModel,
    samples: Sequence[Sample],
    *,
    boundary: bool = True,
    progress: Progress | None = None,
    **options: Any,
) -> Evaluation:
    """Score a model; its ids and those of the samples must mean the same. ``options`` are those of ``predict``.

    ``boundary`` also scores outlines, which takes about as long again as a small network. Raises InputError where
    there are no samples, or one holds an id that the model does not know.

    >>> from segmentation.data.samples import ArraySample
    >>> from segmentation.model import ModelConfig
    >>> from segmentation.networks import PoolFree
    >>> from segmentation.palette import numbered
    >>> model = SegmentationModel(ModelConfig(network=PoolFree(width=4), classes=numbered(2)))
    >>> pixels, ids = np.zeros((20, 30, 3), np.uint8), np.zeros((20, 30), np.uint8)
    >>> evaluate(model, [ArraySample("black", pixels, ids, 2)]).confusion.pixels
    600
    """
    if not samples:
        raise InputError("there are no samples to evaluate on; give pictures with masks")
    count = model.classes.count
    confusion, outlines = Confusion(count), Boundary(count) if boundary else None
    pictures, seconds = [], 0.0
    for at, sample in enumerate(samples):
        pixels, ids = sample.read()
        begun = time.perf_counter()
        found = model.predict(pixels, **options).ids
        seconds += time.perf_counter() - begun
        alone = Confusion(count)
        try:
            alone.add(ids, found)
        except ValueError as error:
            raise InputError(f"{sample.name}: {error}; give masks of the model's own classes") from None
        confusion += alone
        if outlines:
            outlines.add(ids, found)
        pictures.append(PictureScore(sample.name, alone.mean_iou))
        if progress:
            progress(at + 1, len(samples))
    return Evaluation(model.classes, confusion, outlines, tuple(pictures), seconds)


def worst_sheet(
    model: SegmentationModel, samples: Sequence[Sample], evaluation: Evaluation, count: int = 4, **options: Any
) -> np.ndarray:
    """The samples with the lowest scores, one a row: input, truth, prediction, errors in red; uint8 ``[h, w, 3]``."""
    rows = []
    for at in evaluation.worst(count):
        score = evaluation.pictures[at]
        pixels, ids = samples[at].read()
        row = strip(pixels, ids, model.predict(pixels, **options).ids, model.classes)
        rows += [_caption(f"{score.name}   mIoU {100 * score.mean_iou:.1f}", row.shape[1]), row]
    if not rows:
        return _caption("no sample has a score", 400)
    wide = max(row.shape[1] for row in rows)
    heads = _caption("input · truth · prediction · errors in red", wide)
    return stacked(heads, *rows, legend(model.classes, wide), gap=4)


def confusion_png(confusion: Confusion, classes: Classes) -> bytes:
    """The confusion matrix as a PNG: of the pixels of each class (row), the share predicted as each (column)."""
    counts = confusion.counts
    totals = counts.sum(1, keepdims=True)
    share = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    side = min(40.0, 2.5 + 0.42 * len(counts))  # inches
    style = {"font.size": 9}
    # names may hold letters that the font lacks: boxes in the picture, not warnings on the terminal
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure = Figure(figsize=(side + 0.6, side), layout="constrained")
        axes = figure.add_subplot()
        colours = matplotlib.colormaps["Blues"].with_extremes(bad="#eeeeee")
        image = axes.imshow(share, vmin=0, vmax=1, cmap=colours)
        places = range(len(counts))
        axes.set_xticks(places, classes.names, rotation=90, parse_math=False)
        axes.set_yticks(places, classes.names, parse_math=False)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.set_title("% of each true class", loc="left", fontweight="bold")
        if len(counts) <= MOST_NUMBERS:
            for row, column in zip(*np.nonzero(np.nan_to_num(share) >= 0.005), strict=True):
                value = share[row, column]
                colour = "white" if value > 0.5 else "black"
                axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=colour)
        figure.colorbar(image, shrink=0.6, format=lambda value, _: f"{100 * value:.0f}")
        out = io.BytesIO()
        FigureCanvasAgg(figure).print_png(out)
    return out.getvalue()


def errors(pixels: np.ndarray, ids: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The picture in pale grey, wrong pixels in red, ignored ones white: uint8 ``[h, w, 3]``."""
    grey = 160 + pixels.mean(2, dtype=np.float32) * 0.3
    out = np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    out[(ids != found) & (ids != IGNORE)] = WRONG
    out[ids == IGNORE] = 255
    return out


def strip(pixels: np.ndarray, ids: np.ndarray, found: np.ndarray, classes: Classes) -> np.ndarray:
    """Input, truth, prediction, errors in red, side by side and no larger than a sheet needs: uint8 ``[h, w, 3]``."""
    height, width = ids.shape
    scale = min(HEIGHT / height, WIDEST / width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    pixels, ids, found = resize(pixels, size), resize_ids(ids, size), resize_ids(found, size)
    masks = [overlay(pixels, each, classes, opacity=0.7) for each in (ids, found)]
    return side_by_side(pixels, *masks, errors(pixels, ids, found), gap=4)


def _caption(text: str, width: int) -> np.ndarray:
    image = Image.new("RGB", (width, 18), "white")
    ImageDraw.Draw(image).text((4, 2), text, fill="black", font=ImageFont.load_default())
    return np.array(image)
