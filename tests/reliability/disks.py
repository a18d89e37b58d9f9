"""Disks to run the product's own saving on: one that fails when it is told to, and one that remembers what it did.

``Remembering.states`` are the folders that a machine may find after a power cut: of what was not synced, each rename
and each part of a file is there or not, whatever the others are.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from shared import files
from shared.files import Disk

MANY = 3  # renames or files that are not synced; with more of them, only the last are gone through one by one


@contextmanager
def on(disk: Disk) -> Iterator[None]:
    """Within, all that the product writes safely goes to this disk."""
    before, files.disk = files.disk, disk
    try:
        yield
    finally:
        files.disk = before


class Failing(Disk):
    """The real one, but the operation of this number fails with this errno; ``failed`` says which one that was."""

    def __init__(self, at: int, number: int) -> None:
        self.at, self.number, self.done, self.failed = at, number, 0, ""

    def _next(self, name: str) -> None:
        self.done += 1
        if self.done == self.at:
            self.failed = name
            raise OSError(self.number, os.strerror(self.number))

    def create(self, path: Path) -> BinaryIO:
        self._next("create")
        return super().create(path)

    def write(self, file: BinaryIO, content: bytes) -> None:
        try:
            self._next("write")
        except OSError:
            super().write(file, content[: len(content) // 2])  # what fitted
            raise
        super().write(file, content)

    def sync(self, _: BinaryIO) -> None:
        self._next("sync")

    def replace(self, source: Path, target: Path) -> None:
        self._next("replace")
        super().replace(source, target)

    def link(self, path: Path, second: Path) -> None:
        self._next("link")
        super().link(path, second)

    def append(self, path: Path, content: bytes) -> None:
        try:
            self._next("append")
        except OSError:
            super().append(path, content[: len(content) // 2])
            raise
        super().append(path, content)

    def sync_folder(self, _: Path) -> None:
        self._next("sync_folder")


class Remembering(Disk):
    """The real one, without its slow syncs; ``log`` holds all operations in order, and marks of ``mark``."""

    def __init__(self, *, syncs: bool = True) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.syncs = syncs

    def mark(self, *values: Any) -> None:
        """Put something between the operations."""
        self.log.append(("mark", *values))

    def create(self, path: Path) -> BinaryIO:
        self.log.append(("create", path.name))
        return super().create(path)

    def write(self, file: BinaryIO, content: bytes) -> None:
        super().write(file, content)
        self.log.append(("append", Path(file.name).name, bytes(content)))

    def sync(self, file: BinaryIO) -> None:
        if self.syncs:
            self.log.append(("sync", Path(file.name).name))

    def replace(self, source: Path, target: Path) -> None:
        super().replace(source, target)
        self.log.append(("replace", source.name, target.name))

    def link(self, path: Path, second: Path) -> None:
        super().link(path, second)
        self.log.append(("link", path.name, second.name))

    def append(self, path: Path, content: bytes) -> None:
        if not path.exists():
            self.log.append(("create", path.name))
        super().append(path, content)
        self.log.append(("append", path.name, content))

    def remove(self, path: Path) -> None:
        if path.exists():
            self.log.append(("remove", path.name))
        super().remove(path)

    def sync_folder(self, _: Path) -> None:
        if self.syncs:
            self.log.append(("sync_folder",))


class File:
    """What is kept of a file for sure, and what was added since."""

    def __init__(self) -> None:
        self.kept, self.added = b"", b""

    def contents(self) -> set[bytes]:
        """All that may be found: the added bytes gone, cut, whole, or zeros where some should be."""
        half = len(self.added) // 2
        return {self.kept + added for added in (b"", self.added[:half], self.added, bytes(half) + self.added[half:])}


class Platter:
    """A folder after some operations: what is there while the machine runs, and what may be there after a power cut.

    Files on their way, whose names begin with a dot, are left out: the next start sweeps them.
    """

    def __init__(self) -> None:
        self.names: dict[str, File] = {}
        self.kept: dict[str, File] = {}
        self.changes: list[dict[str, File | None]] = []

    def do(self, what: str, *of: Any) -> None:
        """One entry of a log."""
        match what:
            case "create":
                self._change({of[0]: File()})
            case "append":
                self.names[of[0]].added += of[1]
            case "sync":
                file = self.names[of[0]]
                file.kept, file.added = file.kept + file.added, b""
            case "replace":
                self._change({of[1]: self.names[of[0]], of[0]: None})
            case "link":
                self._change({of[1]: self.names[of[0]]})
            case "remove":
                self._change({of[0]: None})
            case "sync_folder":
                self.kept, self.changes = dict(self.names), []

    def killed(self) -> dict[str, bytes]:
        """What a kill of the process leaves: all of it."""
        return {name: file.kept + file.added for name, file in self.names.items() if not name.startswith(".")}

    def states(self) -> Iterator[dict[str, bytes]]:
        """What a power cut may leave."""
        early, late = self.changes[:-MANY], self.changes[-MANY:]
        for first in (early, []):
            for chosen in itertools.product((False, True), repeat=len(late)):
                names: dict[str, File | None] = dict(self.kept)
                for change in [*first, *itertools.compress(late, chosen)]:
                    names.update(change)
                there = {name: file for name, file in names.items() if file is not None and not name.startswith(".")}
                unsafe = list({id(file): file for file in there.values() if file.added}.values())[-MANY:]
                for contents in itertools.product(*(file.contents() for file in unsafe)):
                    found = dict(zip(map(id, unsafe), contents, strict=True))
                    yield {name: found.get(id(file), file.kept + file.added) for name, file in there.items()}

    def _change(self, names: dict[str, File | None]) -> None:
        self.changes.append(names)
        for name, file in names.items():
            if file is None:
                del self.names[name]
            else:
                self.names[name] = file
