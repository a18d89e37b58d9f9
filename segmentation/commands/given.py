"""What several commands are given: where the data lie, how to look at pictures, what may be written."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from segmentation.data import PairList, PictureFolder, Source, VOCLayout
from segmentation.tiles import Views
from segmentation.transforms import IMAGENET
from shared.errors import InputError


def source_of(
    data: str,
    classes: str | None,
    encoding: str,
    held: str | None = None,
    split: str = "file",
) -> Source:
    """A folder with images/ and masks/, a Pascal VOC folder, or a list of pairs; paths become absolute."""
    path = Path(data).resolve()
    table = str(Path(classes).resolve()) if classes else ""
    there = str(Path(held).resolve()) if held else ""
    if path.is_file():
        return PairList(path=str(path), held=there, classes=table, encoding=encoding, split=split)
    if path.is_dir() and not (path / "images").is_dir() and any(path.rglob("SegmentationClass")):
        if held or split != "file" or encoding != "auto":
            raise InputError(
                f"{path}: a Pascal VOC folder brings its own lists and masks; leave out --val and the like"
            )
        return VOCLayout(root=str(path), classes=table)
    return PictureFolder(root=str(path), held=there, classes=table, encoding=encoding, split=split)


def looks(arguments: Namespace) -> dict[str, Any]:
    """How each picture is looked at; InputError for what makes no sense."""
    try:
        Views(normalisation=IMAGENET, scales=tuple(arguments.scales), flip=arguments.flip)
    except ValueError as error:
        raise InputError(f"--scales: {error}") from None
    return {"fast": arguments.fast, "flip": arguments.flip, "scales": tuple(arguments.scales)}


def free(path: Path | str, force: bool) -> Path:
    """A file that may be written to; InputError if it is there, unless ``force``."""
    path = Path(path)
    if path.exists() and not force:
        raise InputError(f"{path}: exists already; choose another name or pass --force")
    return path
