"""The one way to write a file that must not be lost: aside, fsync, rename, fsync the folder.

At every instant, whatever stops the process or the machine, the name holds either the whole old file or the whole new
one. All that touches the disk goes through ``disk``, so that the proofs in ``tests/reliability`` run this very code on
disks that fail or forget.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from shared.errors import refusal

FULL = {errno.ENOSPC, errno.EDQUOT}
NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
NO_FOLDER_SYNC = {errno.EINVAL, errno.EOPNOTSUPP}  # what some network file systems say


class Disk:
    """What a safe write is made of."""

    def create(self, path: Path) -> BinaryIO:
        """Open a new file, with the mode that the umask asks for."""
        return path.open("xb")

    def write(self, file: BinaryIO, content: bytes) -> None:
        """Put all of it into the file; a power cut may still forget any part."""
        file.write(content)
        file.flush()

    def sync(self, file: BinaryIO) -> None:
        """Return when the disk keeps what was written."""
        os.fsync(file.fileno())

    def replace(self, source: Path, target: Path) -> None:
        """Have ``source`` be called ``target``, in one step, instead of what was called so."""
        os.replace(source, target)

    def link(self, path: Path, second: Path) -> None:
        """Give a file a second name."""
        os.link(path, second)

    def append(self, path: Path, content: bytes) -> None:
        """Add to the end of a file, which need not be there; a power cut may still forget it."""
        with path.open("ab", buffering=0) as file:
            rest = memoryview(content)
            while rest:  # an almost full disk takes a part of it
                rest = rest[file.write(rest) :]

    def remove(self, path: Path) -> None:
        """Take a name away; it need not be there."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Return when the disk keeps which names there are in the folder, and of what."""
        if os.name == "nt":  # Windows cannot open a folder, and renames durably without
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in NO_FOLDER_SYNC:
                raise
        finally:
            os.close(descriptor)


disk = Disk()


def write_file(path: Path, *content: bytes | str) -> None:
    """Replace ``path`` by ``content`` in one step; raise InputError, with the old file intact, if that fails.

    Several pieces come one behind the other.
    """
    with _aside(path) as aside:
        _fill(aside, *(piece.encode() if isinstance(piece, str) else piece for piece in content))
        disk.replace(aside, path)
    with _telling(path, "is written, but a power cut could still undo it", "look after the disk"):
        disk.sync_folder(path.parent)


def write_keeping(path: Path, content: bytes, previous: Path) -> None:
    """``write_file``, and then what ``path`` held before is ``previous``.

    Of the two there is always one whole file, even if what ``path`` held was damaged: the old ``previous`` is given up
    only when the new file is safe.
    """
    with _aside(previous) as second:
        kept = path.exists()
        if kept:
            try:
                disk.link(path, second)
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                _fill(second, path.read_bytes())
        write_file(path, content)
        if kept:
            disk.replace(second, previous)


def append(path: Path, line: str) -> None:
    """Add a line, in one operation of the system's; InputError if that fails, and then a part of it may be there."""
    with _telling(path, "cannot be written", "what was there is untouched"):
        disk.append(path, line.encode())


def make_safe(path: Path) -> None:
    """Return when the disk keeps what was appended to ``path``."""
    with _telling(path, "cannot be written", "what was there is untouched"), path.open("rb+") as file:
        disk.sync(file)


def remove(*paths: Path) -> None:
    """Remove files of one folder, in this order; when this returns, a power cut does not bring them back."""
    with _telling(paths[0].parent, "files in it cannot be removed", "check its permissions"):
        for path in paths:
            disk.remove(path)
        disk.sync_folder(paths[0].parent)


def sweep(folder: Path, name: str = "") -> None:
    """Remove what a killed ``write_file`` left in a folder, for files whose names begin so."""
    for left in folder.glob(f".{glob.escape(name)}*.part"):
        left.unlink(missing_ok=True)


def numbered(path: Path) -> Path:
    """The path itself, or the first of ``path-2``, ``path-3`` … that does not exist."""
    candidate, at = path, 2
    while candidate.exists():
        candidate, at = path.with_name(f"{path.stem}-{at}{path.suffix}"), at + 1
    return candidate


def _fill(aside: Path, *content: bytes) -> None:
    with disk.create(aside) as file:
        for piece in content:
            disk.write(file, piece)
        disk.sync(file)


@contextlib.contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A name beside ``path`` for a file on its way there; it is not left behind."""
    with _telling(path, "cannot be written", "what was there is untouched"):
        aside = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.part")
        try:
            yield aside
        finally:
            with contextlib.suppress(OSError, ValueError):
                disk.remove(aside)


@contextlib.contextmanager
def _telling(path: Path, trouble: str, consequence: str) -> Iterator[None]:
    """Turn what the system says into one line; of a full disk, with the space that is left."""
    try:
        yield
    except (OSError, ValueError) as error:
        number, said = getattr(error, "errno", None), getattr(error, "strerror", None) or str(error)
        if number in FULL:
            said, consequence = f"{said}{_space(path.parent)}", f"{consequence}; make room, then try again"
        raise refusal(path, f"{trouble} ({said})", consequence) from None


def _space(folder: Path) -> str:
    try:
        return f", {shutil.disk_usage(folder).free / 1e6:,.1f} MB free"
    except OSError:
        return ""
