"""What is in a data set, said before anything is trained on it: pairs, sizes, classes, trouble, and plain advice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from segmentation.data import Samples, Source
from segmentation.data.samples import Progress, Sample
from segmentation.data.shapes import Shapes
from segmentation.data.split import looks_like_video
from segmentation.metrics import NONE
from segmentation.palette import legend, overlay, side_by_side
from segmentation.transforms import resize, resize_ids
from shared.run_report import spread

FEW = 20  # pairs
RARE = 0.01  # share of the pixels
COMMON = 0.95
MUCH_IGNORED = 0.2
LARGE = 4_000_000  # pixels
LINES = 20  # of refused files and of remarks that are shown, unless all are asked for
SHEET = 160  # height of a picture on the sample sheet


@dataclass(frozen=True)
class Report:
    """What ``check`` found. All samples are in ``samples.train``."""

    samples: Samples
    by_prefix: bool
    """Whether a split by prefix is set already."""

    @property
    def pixels(self) -> np.ndarray:
        """Pixels of each class, int64 ``[k]``."""
        return self.samples.pixels

    @property
    def pictures(self) -> np.ndarray:
        """In how many pictures each class occurs, int64 ``[k]``."""
        zero = np.zeros(self.samples.classes.count, np.int64)
        return sum((sample.counts[:-1] > 0 for sample in self.samples.train), zero)

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        """How many pictures there are of each size (height, width)."""
        return Counter(sample.size for sample in self.samples.train)

    def lines(self, most: int = LINES) -> list[str]:
        """The report as text, at most ``most`` lines on refused files and as many remarks."""
        held = self.samples
        total = len(held.train)
        out = [f"{total} pair{'s' * (total != 1)} of picture and mask, {self._size_text()}"]
        out += _some(held.refused, most, "left out")
        out += _some(held.remarks, most, "mentioned")
        out += ["", *self._table(), ""]
        return [*out, *(f"advice: {text}" for text in self.advice)]

    def to_json(self) -> dict:
        """The same as plain JSON values."""
        rows = zip(self.samples.classes.names, self.pixels.tolist(), self.pictures.tolist(), strict=True)
        return {
            "pairs": len(self.samples.train),
            "sizes": [[height, width, count] for (height, width), count in self.sizes.most_common()],
            "classes": [{"name": name, "pixels": pixels, "pictures": pictures} for name, pixels, pictures in rows],
            "ignored_pixels": self._ignored,
            "refused": list(self.samples.refused),
            "remarks": list(self.samples.remarks),
            "advice": list(self.advice),
        }

    @property
    def advice(self) -> tuple[str, ...]:
        """Plain sentences, the weightiest first; none where nothing is the matter."""
        names, total = self.samples.classes.names, len(self.samples.train)
        every, pictures = max(1, int(self.pixels.sum()) + self._ignored), self.pictures
        share = self.pixels / every
        out = []
        if len(names) < 2:
            out.append("there is one class only, so there is nothing to tell apart: draw the background as another")
        absent = [name for name, pixels in zip(names, self.pixels, strict=True) if not pixels]
        if absent:
            out.append(
                f"no mask holds {_and(absent)}: nothing can be learnt about {'it' if len(absent) == 1 else 'them'}"
            )
        most = int(share.argmax())
        if share[most] > COMMON and len(names) > 1:
            text = (
                f"{names[most]} covers {share[most]:.1%} of the pixels, so a model that sees nothing else looks right"
            )
            out.append(f"{text}: judge by mIoU, and try --class-weights median")
        rare = [at for at in np.argsort(share, kind="stable") if 0 < share[at] < RARE]
        if rare:
            texts = [
                f"{names[at]} covers {share[at]:.2%} of the pixels, in {pictures[at]} of {total} pictures"
                for at in rare
            ]
            out.append(f"{'; '.join(texts[:4])}: try --class-weights median")
        if self._ignored > MUCH_IGNORED * every:
            out.append(f"{self._ignored / every:.0%} of the pixels are ignored: is that as intended?")
        if total < FEW:
            out.append(f"{total} pair{'s are' if total > 1 else ' is'} very few: expect little on other pictures")
        if not self.by_prefix and looks_like_video([sample.name for sample in self.samples.train]):
            out.append("names look like frames of videos, and neighbours are near copies: use --split prefix")
        if names[0] == "class 0":
            out.append("name the classes with --classes FILE, a CSV file with lines of name,red,green,blue")
        if any(height * width > LARGE for height, width in self.sizes):
            out.append("pictures are large: train on crops, and predict with tiles")
        return tuple(out)

    def sheet(self, count: int = 6) -> np.ndarray:
        """Pictures spread over the set, each beside its mask, above a legend: uint8 ``[h, w, 3]``."""
        chosen = spread(self.samples.train, count)
        rows = [self._strip(sample) for sample in chosen]
        pairs = [rows[at : at + 2] for at in range(0, len(rows), 2)]
        lines = [side_by_side(*row) for row in pairs]
        lines.append(legend(self.samples.classes, max(line.shape[1] for line in lines)))
        return stacked(*lines)

    def _strip(self, sample: Sample) -> np.ndarray:
        pixels, ids = sample.read()
        width = min(3 * SHEET, max(1, round(ids.shape[1] * SHEET / ids.shape[0])))
        pixels, ids = resize(pixels, (SHEET, width)), resize_ids(ids, (SHEET, width))
        return side_by_side(pixels, overlay(pixels, ids, self.samples.classes, opacity=0.7), gap=2)

    @property
    def _ignored(self) -> int:
        return int(sum(sample.counts[-1] for sample in self.samples.train))

    def _size_text(self) -> str:
        sizes = self.sizes
        (height, width), _ = sizes.most_common(1)[0]
        if len(sizes) == 1:
            return f"all {width} × {height} pixels"
        low, high = min(sizes, key=np.prod), max(sizes, key=np.prod)
        return (
            f"{len(sizes)} sizes from {low[1]} × {low[0]} to {high[1]} × {high[0]} pixels, "
            f"most often {width} × {height}"
        )

    def _table(self) -> list[str]:
        names = [*self.samples.classes.names, "(ignored)"]
        pixels = np.append(self.pixels, self._ignored)
        occurs = sum((sample.counts > 0 for sample in self.samples.train), np.zeros(len(pixels), np.int64))
        wide = max(map(len, [*names, "class"]))
        rows = [f"{'class':{wide}}  pixels  in pictures"]
        for name, part, files in zip(names, pixels, occurs, strict=True):
            share = f"{part / pixels.sum():.2%}" if part else NONE
            rows.append(f"{name:{wide}}  {share:>6}  {files:>11}")
        return rows


def check(source: Source, progress: Progress | None = None) -> Report:
    """Read all of a source once and report on it. Raises InputError where there is nothing to report on."""
    samples = source.load(0.0, progress)
    everything = replace(samples, train=[*samples.train, *samples.validation], validation=())
    return Report(everything, isinstance(source, Shapes) or getattr(source, "split", "") == "prefix")


def stacked(*pictures: np.ndarray, gap: int = 8) -> np.ndarray:
    """Pictures of any width, one below the other, on white: uint8 ``[h, w, 3]``."""
    width = max(each.shape[1] for each in pictures)
    height = sum(len(each) + gap for each in pictures) - gap
    sheet = np.full((height, width, 3), 255, np.uint8)
    top = 0
    for each in pictures:
        sheet[top : top + len(each), : each.shape[1]] = each
        top += len(each) + gap
    return sheet


def _some(lines: Sequence[str], most: int, verb: str) -> list[str]:
    if not lines:
        return []
    rest = [f"  … and {len(lines) - most} more"] if len(lines) > most else []
    return [f"{verb}: {len(lines)}", *(f"  {line}" for line in lines[:most]), *rest]


def _and(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
