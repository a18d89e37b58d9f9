"""A picture in, a mask out: ids for every pixel, and pictures of them.

How large pictures and several views are dealt with is ``segmentation.tiles``'s concern; here scores become ids.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from segmentation import palette, tiles
from segmentation.fast import InferenceForm
from segmentation.palette import Classes
from segmentation.tiles import Piece, Views
from shared.errors import refusal
from shared.files import write_file

NEARLY_ALL = 0.99  # of a picture
SMALL = 256 * 256  # pixels; looked at as a whole whatever the network
OVERLAP = 0.25  # of a tile, shared with the next
ROWS = 512  # of an overlay that are mixed at once

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was seen in one picture.

    ``ids`` is uint8 ``[h, w]``, a class for each pixel; ``pixels`` the picture, uint8 ``[h, w, 3]``;
    ``probabilities``, if asked for, float16 ``[k, h, w]``; ``remarks`` are texts for the user, without a path.
    """

    ids: np.ndarray
    pixels: np.ndarray
    classes: Classes
    probabilities: np.ndarray | None = None
    remarks: tuple[str, ...] = ()

    @property
    def shares(self) -> np.ndarray:
        """The share of the picture that each class covers, float64 ``[k]``."""
        return np.bincount(self.ids.ravel(), minlength=self.classes.count) / self.ids.size

    def coloured(self) -> np.ndarray:
        """The mask in the colours of the classes, uint8 ``[h, w, 3]``."""
        return palette.coloured(self.ids, self.classes)

    def overlay(self, opacity: float = 0.5) -> np.ndarray:
        """The picture with these colours over it, uint8 ``[h, w, 3]``."""
        out = np.empty_like(self.pixels)
        for top in range(0, len(out), ROWS):  # mixing takes ten times the memory of what is mixed
            rows = slice(top, top + ROWS)
            out[rows] = palette.overlay(self.pixels[rows], self.ids[rows], self.classes, opacity)
        return out

    def side_by_side(self) -> np.ndarray:
        """The picture beside its overlay, uint8 ``[h, 2·w + 8, 3]``."""
        return palette.side_by_side(self.pixels, self.overlay())

    def save(self, path: Path | str) -> None:
        """Write the mask as a PNG whose pixels are the ids and whose palette shows them; InputError if that fails."""
        palette.write_palette_png(Path(path), self.ids, self.classes)

    def save_overlay(self, path: Path | str, opacity: float = 0.5) -> None:
        """Write the overlay; JPEG where the name ends so, else PNG. InputError if that fails."""
        write_picture(Path(path), self.overlay(opacity))

    def save_side_by_side(self, path: Path | str) -> None:
        """Write the picture beside its overlay; JPEG where the name ends so, else PNG. InputError if that fails."""
        write_picture(Path(path), self.side_by_side())

    def save_probabilities(self, path: Path | str) -> None:
        """Write the probabilities, float16 ``[k, h, w]``, for ``numpy.load``. InputError if that fails."""
        if self.probabilities is None:
            raise ValueError("no probabilities were asked for: predict(…, probabilities=True)")
        head, array = io.BytesIO(), np.ascontiguousarray(self.probabilities)
        np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(array))
        write_file(Path(path), head.getvalue(), array.data)  # np.save into memory would hold it all once more


def predict(
    form: InferenceForm,
    pixels: np.ndarray,
    classes: Classes,
    views: Views,
    *,
    tile: int | None = None,
    overlap: int | None = None,
    probabilities: bool = False,
    progress: Progress | None = None,
) -> Prediction:
    """Predict one picture, uint8 ``[h, w, 3]``, of any size.

    ``tile`` is the side of tiles in pixels; 0 looks at the picture as a whole, None does so up to
    ``tiles.largest_whole`` pixels. ``overlap`` is what blended tiles share, in pixels; None is a quarter of the
    side. ``progress`` is told how many pixels are done, of how many. Raises ValueError for options that do not fit.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ValueError(f"a picture is uint8 [h, w, 3], not {pixels.dtype} {list(pixels.shape)}")
    height, width = pixels.shape[:2]
    ids = np.empty((height, width), np.uint8)
    kept = np.empty((form.classes, height, width), np.float16) if probabilities else None
    done = 0
    for piece in _pieces(form, pixels, views, tile, overlap, soft=probabilities or not views.single):
        rows, columns = (
            slice(start, start + length)
            for start, length in zip((piece.top, piece.left), piece.scores.shape[1:], strict=True)
        )
        ids[rows, columns] = best(piece.scores)
        if kept is not None:
            kept[:, rows, columns] = piece.scores.half().cpu().numpy()
        done += ids[rows, columns].size
        if progress:
            progress(done, ids.size)
    prediction = Prediction(ids, pixels, classes, kept)
    return replace(prediction, remarks=_remarks(prediction))


def best(scores: Tensor) -> np.ndarray:
    """The class of the highest score, uint8 ``[h, w]``, from ``[k, h, w]``; of equals the first."""
    # over strides other than one, torch's argmax is five times slower than the copy and the argmax here
    return scores.permute(1, 2, 0).contiguous().argmax(2).to(torch.uint8).cpu().numpy()


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """Write RGB, uint8 ``[h, w, 3]``: JPEG where the name ends in .jpg or .jpeg, else PNG; InputError if that fails."""
    if path.suffix.lower() not in (".jpg", ".jpeg"):
        palette.write_png(path, pixels)
        return
    out = io.BytesIO()
    try:
        Image.fromarray(pixels).save(out, "JPEG", quality=92)
    except OSError as error:  # 65,535 pixels a side are the most
        raise refusal(path, f"cannot be a JPEG ({error})", "write a PNG") from None
    write_file(path, out.getvalue())


def _pieces(
    form: InferenceForm, pixels: np.ndarray, views: Views, tile: int | None, overlap: int | None, *, soft: bool
) -> Iterator[Piece]:
    size = pixels.shape[:2]
    count = size[0] * size[1]
    if tile is None:
        small = count * views.cost <= SMALL or count <= tiles.largest_whole(form, views)
        tile = 0 if small else tiles.best_side(form, views)
    if tile < 0 or (overlap is not None and overlap < 1):
        raise ValueError("tile and overlap are lengths in pixels")
    if not tile or max(size) <= tile:
        return tiles.whole(form, pixels, views, soft=soft)
    if form.halo is not None and views.single and views.scales == (1.0,) and overlap is None:
        return tiles.exact(form, pixels, views, tile, soft=soft)
    return tiles.blended(form, pixels, views, tile, max(1, int(tile * OVERLAP)) if overlap is None else overlap)


def _remarks(prediction: Prediction) -> tuple[str, ...]:
    shares = prediction.shares
    most = int(shares.argmax())
    if shares[most] <= NEARLY_ALL:
        return ()
    return (
        f"{prediction.classes.names[most]} covers {shares[most]:.1%} of the picture;"
        " if that is wrong, is it a picture like those that the model was trained on?",
    )
