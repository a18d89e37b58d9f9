"""Which pictures are to be predicted, in which order, and where their results go.

Given are files, folders, patterns with ``*``, and ``-`` for a picture on stdin; folders are read in the order in
which people count, so that frame 2 comes before frame 10. Every result has a name of its own, which is never that of
a picture that is read, and all of that is settled before the first picture is predicted.
"""

from __future__ import annotations

import glob
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from segmentation.data.pairs import ENDINGS
from segmentation.data.split import natural
from segmentation.images import Picture, read_image
from segmentation.limits import BYTES
from shared.errors import InputError, refusal, shown
from shared.folders import fitting, made

STDIN = "-"
MASK, OVERLAY, SIDE_BY_SIDE, PROBABILITIES = ".png", "_overlay.png", "_side_by_side.png", "_probabilities.npy"
"""What results of each kind are named after the name of their picture."""


@dataclass(frozen=True)
class Frame:
    """A picture to come; ``path`` is None for stdin."""

    path: Path | None

    @property
    def name(self) -> str:
        """For messages."""
        return "stdin" if self.path is None else shown(self.path)

    @property
    def stem(self) -> str:
        """What its results are named after."""
        return "stdin" if self.path is None else self.path.stem

    def read(self) -> Picture:
        """Decode it; InputError for what is no picture."""
        return _from_stdin() if self.path is None else read_image(self.path)


def frames(given: Sequence[str | Path]) -> list[Frame]:
    """All pictures that are meant, each once, in the order given; within folders and patterns as people count.

    A folder stands for the pictures in it, by their endings; folders inside it are not entered. A file that is named
    may have any ending. InputError for what does not exist, or holds no picture.

    >>> frames(["-"])[0].name
    'stdin'
    """
    found = dict.fromkeys(frame for each in given for frame in _meant(str(each)))
    if not found:
        raise InputError("no picture given; name files, folders, patterns such as 'frames/*.png', or - for stdin")
    return list(found)


def targets(pictures: Sequence[Frame], out: Path, endings: Sequence[str], *, force: bool = False) -> list[list[Path]]:
    """For each picture, the file for each of the ``endings``: ``out/NAME`` and the ending.

    ``out`` is a folder, which is made; for a single picture it can also be the name of the first file. Where names
    would collide, with each other or with a picture that is read, they take on more of the picture's path: a.jpg and
    a.png become a_jpg and a_png. InputError where a file exists already, unless ``force``.
    """
    read = {_same(picture.path) for picture in pictures if picture.path is not None}
    if not out.is_dir() and out.suffix.lower() in (".png", ".jpg", ".jpeg", ".npy"):
        if len(pictures) > 1:
            raise InputError(f"-o {shown(out)}: {len(pictures)} pictures need a folder, such as -o out/")
        if out.suffix.lower() != Path(f"x{endings[0]}").suffix:
            raise InputError(f"-o {shown(out)}: this is written as {Path(f'x{endings[0]}').suffix}; change the name")
        chosen = [[out, *(out.with_name(f"{out.stem}{ending}") for ending in endings[1:])]]
        for path in chosen[0]:
            if _same(path) in read:
                raise refusal(path, "is the picture that is read", "choose another name")
    else:
        chosen = _named(pictures, out, endings, read)
    made(chosen[0][0].parent)
    for path in (path for paths in chosen for path in paths):
        if path.is_dir():
            raise refusal(path, "is a folder", "choose another place")
        if not force and os.path.lexists(path):
            raise refusal(path, "exists already", "choose another place or pass --force")
    return chosen


def read_bytes(content: bytes, name: str, most_pixels: int | None = None) -> Picture:
    """Decode a picture that came without a file, as ``read_image`` does; errors call it ``name``."""
    with tempfile.TemporaryDirectory() as folder:  # the gate knows files only
        path = Path(folder) / "picture"
        path.write_bytes(content)
        try:
            return read_image(path, most_pixels)
        except InputError as error:
            raise InputError(str(error).replace(str(path), name)) from None


def _named(pictures: Sequence[Frame], out: Path, endings: Sequence[str], read: set[str]) -> list[list[Path]]:
    stems = Counter(picture.stem.casefold() for picture in pictures)
    taken = set(read)
    chosen = []
    for picture in pictures:
        for name in _candidates(picture, alone=stems[picture.stem.casefold()] == 1):
            paths = [out / f"{name}{ending}" for ending in endings]
            keys = {_same(path) for path in paths}
            if not keys & taken:
                break
        taken |= keys
        chosen.append(paths)
    return chosen


def _candidates(picture: Frame, *, alone: bool) -> Iterator[str]:
    """Names for a picture's results, the plainest first, and no end of them."""
    name = fitting(picture.stem)
    if alone:
        yield name
    if picture.path is not None:
        name = fitting(f"{picture.stem}_{picture.path.suffix.lstrip('.').lower()}")
        yield name
        name = fitting(f"{picture.path.absolute().parent.name}_{name}")
        yield name
    yield from (f"{name}-{number}" for number in count(2))


def _meant(given: str) -> list[Frame]:
    if given == STDIN:
        return [Frame(None)]
    path = Path(given)
    try:
        if path.is_dir():
            inside = [entry for entry in path.iterdir() if _is_picture(entry)]
            if not inside:
                raise refusal(path, "holds no picture", f"give a folder with {', '.join(sorted(ENDINGS))}")
            return _in_order(inside)
        if os.path.lexists(path):
            return [Frame(path)]
        if glob.has_magic(given):
            matching = [Path(each) for each in glob.glob(given, recursive=True) if _is_picture(Path(each))]  # noqa: PTH207 – Path.glob takes no absolute pattern
            if not matching:
                raise refusal(path, "no picture matches", "check the pattern")
            return _in_order(matching)
    except (OSError, ValueError) as error:
        reason = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        raise refusal(path, reason, "check its name and permissions") from None
    raise refusal(path, "no such file or folder", "check its name")


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".") and not path.is_dir()


def _in_order(paths: Sequence[Path]) -> list[Frame]:
    return [Frame(path) for path in sorted(paths, key=lambda path: natural(path.as_posix()))]


def _same(path: Path) -> str:
    """Equal for two names of one file, also where capitals make no difference to the system."""
    return os.path.realpath(path).casefold()


def _from_stdin() -> Picture:
    return read_bytes(sys.stdin.buffer.read(int(BYTES.most) + 1), "stdin")
