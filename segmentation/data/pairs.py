"""Which picture belongs to which mask, by their names; what has no partner, or two, is named and left out.

Names are paths below the folder, without their ending and in Unicode's composed form: macOS stores accents in two
parts. Order is by name as people count, the same on every system. Nothing is opened here.
"""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from segmentation.data.split import natural
from shared.errors import refusal, shown
from shared.folders import composed, is_folder, walk
from shared.tables import lines_of

LISTED = "give a text file that names a picture and its mask on each line"
ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".ppm", ".pgm"})


@dataclass(frozen=True)
class Pair:
    """A picture and its mask, which may not be there or not be good; ``name`` is what they share."""

    name: str
    image: Path
    mask: Path


@dataclass(frozen=True)
class Found:
    """Pairs in the order of their names, and one line for each file that has no place in one."""

    root: Path
    pairs: tuple[Pair, ...]
    refused: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def in_folders(root: Path | str, images: str = "images", masks: str = "masks") -> Found:
    """Pairs of equal names in two folders below ``root``, folders inside them included.

    Files count by their ending, in capitals or not; others and hidden ones are passed over in silence. Where no name
    has a partner, endings that all masks share (``_mask``), and all pictures, are put aside. Raises InputError
    where a folder is missing or nothing fits together.
    """
    root = Path(root)
    folders = [root / images, root / masks]
    for folder in folders:
        if not is_folder(folder):
            raise refusal(folder, "no such folder", _advice(root, images, masks))
    shut: list[str] = []
    sides = [_named(walk(folder, ENDINGS, shut), folder) for folder in folders]
    if not sides[0].keys() & sides[1].keys():
        sides = [_without_ending(side) for side in sides]
    pairs, refused = [], []
    for name in sorted(sides[0].keys() | sides[1].keys(), key=natural):
        here, there = sides[0].get(name, []), sides[1].get(name, [])
        if len(here) == len(there) == 1:
            pairs.append(Pair(name, here[0], there[0]))
            continue
        for files, others, what, other in ((here, there, "picture", "mask"), (there, here, "mask", "picture")):
            if len(files) > 1:
                names = " and ".join(shown(file.name) for file in files)
                refused.append(str(refusal(files[0], f"{names} have one name, for one {other}", "rename one of them")))
            elif files and not others:
                wanted = folders[files is here] / name
                refused.append(str(refusal(files[0], f"this {what} has no {other} {shown(wanted)}.*", "add it")))
    return _checked(root, pairs, [*shut, *refused])


def in_list(path: Path | str) -> Found:
    """Pairs named by a text file, one a line: picture, mask, between them a comma, a tab or a space.

    Relative paths begin at the list's folder; those that lead out of it are read all the same, as pictures, and a
    remark tells how many do. Lines that begin with # are passed over. Raises InputError, naming the line, where it has
    not two columns.
    """
    path = Path(path)
    pairs, seen, refused = [], {}, []
    for number, line in enumerate(lines_of(path, LISTED), 1):
        if not line.strip() or line.startswith("#"):
            continue
        mark = next((mark for mark in ",\t" if mark in line), " ")
        try:
            row = next(csv.reader([line], delimiter=mark, skipinitialspace=True))
        except csv.Error as error:
            raise refusal(path, f"line {number} cannot be read ({error})", LISTED) from None
        cells = [cell.strip() for cell in row if cell.strip()]
        if len(cells) != 2:
            raise refusal(path, f"line {number} has {len(cells)} columns, not 2", "write picture,mask on each line")
        if not all(_names_a_file(cell) for cell in cells):
            refused.append(str(refusal(path, f"line {number} does not name two files", "correct it")))
            continue
        name = composed(Path(cells[0]).with_suffix("").as_posix())
        image, mask = (path.parent / cell for cell in cells)
        if image in seen:
            refused.append(str(refusal(image, f"is on the lines {seen[image]} and {number}", "name it once")))
            continue
        seen[image] = number
        pairs.append(Pair(name, image, mask))
    found = _checked(path, sorted(pairs, key=lambda pair: natural(pair.name)), refused)
    outside = [each for pair in pairs for each in (pair.image, pair.mask) if not _is_below(path.parent, each)]
    if outside:
        remark = f"{shown(path)}: {len(outside)} of its files lie outside of its folder, such as {shown(outside[0])}"
        return replace(found, remarks=(remark,))
    return found


def in_voc(root: Path | str, image_set: str) -> Found:
    """Pairs of a Pascal VOC folder (VOCdevkit/VOC2012): those that ImageSets/Segmentation/``image_set``.txt names.

    A name that leads out of the folder is refused.
    """
    root = Path(root)
    if not (root / "JPEGImages").is_dir() and (inner := sorted(root.glob("**/JPEGImages"))):
        root = inner[-1].parent
    table = root / "ImageSets" / "Segmentation" / f"{image_set}.txt"
    names = [name for name in dict.fromkeys(line.strip() for line in lines_of(table, LISTED)) if name]
    pairs, refused = [], []
    for name in names:
        image, mask = root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png"
        if _names_a_file(name) and _is_below(root / "JPEGImages", image):
            pairs.append(Pair(composed(name), image, mask))
        else:
            refused.append(str(refusal(table, f"names {shown(name)}, which is no picture of its folder", "correct it")))
    return _checked(root, sorted(pairs, key=lambda pair: natural(pair.name)), refused)


def _checked(root: Path, pairs: list[Pair], refused: list[str]) -> Found:
    if not pairs:
        first = f"the first trouble: {refused[0]}" if refused else "give pictures and masks of the same names"
        raise refusal(root, "no picture has a mask", first)
    return Found(root, tuple(pairs), tuple(refused))


def _named(files: Iterable[Path], folder: Path) -> dict[str, list[Path]]:
    sides = defaultdict(list)
    for file in sorted(files):
        sides[composed(file.relative_to(folder).with_suffix("").as_posix())].append(file)
    return dict(sides)


def _without_ending(side: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """The same with what all names end in taken off, from a _ or - on; several names are needed to see it."""
    letters = takewhile(lambda each: len(set(each)) == 1, zip(*(reversed(name) for name in side), strict=False))
    ending = "".join(each[0] for each in letters)[::-1]
    starts = [at for at, letter in enumerate(ending) if letter in "_-"]
    if len(side) < 2 or not starts:
        return side
    return {name[: len(name) - len(ending) + starts[0]]: files for name, files in side.items()}


def _names_a_file(name: str) -> bool:
    return bool(Path(name).name) and Path(name).name != ".." and "\0" not in name


def _is_below(folder: Path, path: Path) -> bool:
    """By the names alone: a link may lead anywhere, and whoever made it meant it to."""
    return os.path.abspath(path).startswith(os.path.join(os.path.abspath(folder), ""))  # noqa: PTH100, PTH118


def _advice(root: Path, images: str, masks: str) -> str:
    inside = sorted(path.name for path in root.iterdir() if is_folder(path / images)) if is_folder(root) else []
    if inside:
        return f"did you mean {shown(root / inside[-1])}?"
    return f"give a folder with {images}/ and {masks}/ in it, whose files have the same names"
