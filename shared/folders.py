"""Folders of files that a user gives: what is in them, in which order, examined on a few threads.

What cannot be read is named and never fatal. Names decide, not the system: they are alike wherever the folder lies.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from shared.errors import refusal

Given, Found = TypeVar("Given"), TypeVar("Found")
Progress = Callable[[int, int], None]
"""``progress(done, total)``."""
LONGEST_NAME = 200
"""Bytes of a name that endings and the like are added to; file systems take 255 in all."""


def walk(root: Path, endings: frozenset[str], shut: list[str]) -> Iterator[Path]:
    """Paths with one of the endings, below ``root``, in any order; folders that cannot be read go to ``shut``.

    Links to folders are followed, each folder once; hidden files and folders are passed over.
    """
    seen, folders = set(), [root]
    while folders:
        folder = folders.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:  # a link back up, or a second way to the same place
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(folder.iterdir(), reverse=True)  # the first is popped first
        except OSError as error:
            shut.append(str(refusal(folder, f"cannot be read ({error.strerror})", "check its permissions")))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.suffix.lower() in endings:
                yield entry
            elif is_folder(entry):
                folders.append(entry)


def made(folder: Path) -> Path:
    """The folder, made if it is not there; InputError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refusal(folder, f"cannot be made ({error.strerror})", "choose another place") from None
    return folder


def is_folder(path: Path) -> bool:
    """Whether it is a folder, as far as one can see."""
    try:
        return path.is_dir()
    except OSError:  # inside a folder that may not be entered
        return False


def examined(
    examine: Callable[[Given], Found], given: Sequence[Given], workers: int = 2, progress: Progress | None = None
) -> list[Found]:
    """``examine`` of each, in order, on ``workers`` threads; ``progress`` is told after every one.

    >>> examined(len, ["a", "bcd"])
    [1, 3]
    """
    answers: list[Found] = []
    with ThreadPoolExecutor(max(1, workers)) as pool:
        try:
            for answer in pool.map(examine, given):
                answers.append(answer)
                if progress:
                    progress(len(answers), len(given))
        except BaseException:  # Ctrl-C must not wait for what is still in the queue
            pool.shutdown(cancel_futures=True)
            raise
    return answers


def fitting(name: str) -> str:
    """The beginning of a name that results are to be named after, if it is too long for that.

    >>> len(fitting("a" * 251))
    200
    """
    while len(os.fsencode(name)) > LONGEST_NAME:
        name = name[:-1]
    return name


def composed(name: str) -> str:
    """A name in Unicode's composed form: macOS stores accents in two parts."""
    return unicodedata.normalize("NFC", name)


def place_of(name: str) -> float:
    """A number in [0, 1) that depends on the name alone: by it a file goes to training or validation."""
    return int.from_bytes(sha256(name.encode("utf-8", "surrogateescape")).digest()[:6], "big") / 2**48
