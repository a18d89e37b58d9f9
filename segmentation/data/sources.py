"""Sources that lie in files: a folder with images/ and masks/, a list of pairs, a Pascal VOC folder.

All three find pairs, scan them once, and split them, unless they bring a split along. The classes come from a table
that the user gives, or else are those already ``known``, a model's, or else are found in the masks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from segmentation.data.masks import Encoding
from segmentation.data.pairs import Found, in_folders, in_list, in_voc
from segmentation.data.samples import Progress, Samples, scan
from segmentation.data.split import By, looks_like_video, split
from segmentation.palette import VOC, Classes, read_classes
from shared.errors import InputError, shown


@dataclass(frozen=True, kw_only=True)
class PictureFolder:
    """A folder with pictures in ``images/`` and masks of the same names in ``masks/``."""

    tagged = True

    root: str
    """The folder."""
    held: str = ""
    """Another such folder, to validate on; empty: a share of the first is held back."""
    classes: str = ""
    """A CSV file with a class a line; empty: classes are the numbers in the masks."""
    encoding: Encoding = "auto"
    """How masks name classes; "auto" looks at all of them and says what it took them for."""
    split: By = "file"
    """What is held back: single files, or all files of one prefix, such as the frames of a video."""
    images: str = "images"
    """Name of the folder with pictures."""
    masks: str = "masks"
    """Name of the folder with masks."""

    def load(self, validation: float, progress: Progress | None = None, known: Classes | None = None) -> Samples:
        """Decode everything once. Raises InputError where nothing can be used; single bad files are named only."""
        here = in_folders(self.root, self.images, self.masks)
        there = in_folders(self.held, self.images, self.masks) if self.held else None
        classes = table(self.classes) or known
        return load(here, there, classes, self.encoding, self.split, validation, progress)


@dataclass(frozen=True, kw_only=True)
class PairList:
    """A text file with two columns: picture and mask."""

    tagged = True

    path: str
    """The file; relative paths in it begin at its folder."""
    held: str = ""
    """Another such file, to validate on; empty: a share of the first is held back."""
    classes: str = ""
    """As for PictureFolder."""
    encoding: Encoding = "auto"
    """As for PictureFolder."""
    split: By = "file"
    """As for PictureFolder."""

    def load(self, validation: float, progress: Progress | None = None, known: Classes | None = None) -> Samples:
        """Decode everything once. Raises InputError where nothing can be used; single bad files are named only."""
        there = in_list(self.held) if self.held else None
        classes = table(self.classes) or known
        return load(in_list(self.path), there, classes, self.encoding, self.split, validation, progress)


@dataclass(frozen=True, kw_only=True)
class VOCLayout:
    """A Pascal VOC folder: JPEGImages, SegmentationClass, ImageSets/Segmentation, the layout torchvision unpacks."""

    tagged = True

    root: str
    """The folder, or one above it."""
    image_set: str = "train"
    """The list to train on."""
    held: str = "val"
    """The list to validate on; empty: a share of the first is held back."""
    classes: str = ""
    """A CSV file with a class a line; empty: the 21 classes of Pascal VOC."""

    def load(self, validation: float, progress: Progress | None = None, known: Classes | None = None) -> Samples:
        """Decode everything once. Raises InputError where nothing can be used; single bad files are named only."""
        there = in_voc(self.root, self.held) if self.held else None
        classes = table(self.classes) or known or VOC
        return load(in_voc(self.root, self.image_set), there, classes, "auto", "file", validation, progress)


def table(path: str) -> Classes | None:
    """The class table at a path; None for no path."""
    return read_classes(Path(path)) if path else None


def load(
    here: Found,
    there: Found | None,
    classes: Classes | None,
    encoding: Encoding,
    by: By,
    validation: float,
    progress: Progress | None = None,
) -> Samples:
    """Scan what was found ``here``, to train on, and ``there``, to validate on; without it, split ``here``.

    How masks are read, and which classes there are, is decided over both together. Raises InputError where one side
    has nothing that can be used.
    """
    held = there.pairs if there else ()
    read, kept = ({os.path.realpath(pair.image) for pair in side} for side in (here.pairs, held))
    if both := read & kept:
        reason = "is to be trained on and validated on"
        raise InputError(f"{shown(min(both))}: {reason}; give two sets that share no picture")
    scanned = scan([*here.pairs, *held], classes, encoding, progress=progress)
    first = [sample for sample in scanned.samples[: len(here.pairs)] if sample]
    second = [sample for sample in scanned.samples[len(here.pairs) :] if sample]
    if (there and not second) or not first:
        empty = there.root if there and first else here.root
        raise InputError(f"{shown(empty)}: no usable pair of picture and mask; the first trouble: {scanned.refused[0]}")
    remarks = [*here.remarks, *(there.remarks if there else ()), *scanned.remarks]
    if not there:
        names = [sample.name for sample in first]
        if by == "file" and validation and looks_like_video(names):
            remarks = [*remarks, "names look like frames of videos: a split by prefix keeps near copies apart"]
        train, kept = split(names, validation, by)
        first, second = [first[at] for at in train], [first[at] for at in kept]
    missed = (*here.refused, *(there.refused if there else ()))
    return Samples(first, second, scanned.decoder.classes, (*missed, *scanned.refused), tuple(remarks))
