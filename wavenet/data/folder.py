"""A folder of recordings: what is in it, what of it can be used, and which part validation gets.

Every file is decoded once, through the gate in ``wavenet.audio``; one that it refuses is named, never fatal.
Order and split depend on the paths below the folder alone, so they survive a move to another machine.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from shared.errors import InputError
from wavenet.audio import SHORTEST, Recording, check, refusal, shown

ENDINGS = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au"})


@dataclass(frozen=True)
class Scan:
    """What a folder holds, in the order of the paths below it."""

    root: Path
    recordings: tuple[Recording, ...]
    refused: tuple[str, ...]  # one line each: path, reason, way out

    @property
    def seconds(self) -> float:
        """Duration of all recordings together, in seconds."""
        return sum(recording.seconds for recording in self.recordings)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the recordings in use: lines of "path: text"."""
        return tuple(f"{shown(each.path)}: {text}" for each in self.recordings for text in each.warnings)

    @property
    def rates(self) -> Counter[int]:
        """How many recordings there are of each sample rate in Hz."""
        return Counter(recording.rate for recording in self.recordings)


def scan(folder: Path | str, workers: int = 2, progress: Callable[[int, int], None] | None = None) -> Scan:
    """Decode every sound file below a folder, on ``workers`` threads; a single file is a folder of one.

    Files count by their ending, in capitals or not; others, and hidden ones, are passed over in silence.
    Links to folders are followed, each folder once. ``progress(done, total)`` is called after every file.
    Raises InputError where there is no such folder, or nothing in it that can be used.
    """
    root = Path(folder)
    if not _is_folder(root):
        only = _usable(root)
        if isinstance(only, str):
            raise InputError(only)
        return Scan(root.parent, (only,), ())
    shut: list[str] = []
    paths = sorted(_walk(root, shut), key=lambda path: _name(path, root))
    answers = checked(paths, workers, progress)
    found = tuple(answer for answer in answers if isinstance(answer, Recording))
    refused = (*shut, *(answer for answer in answers if isinstance(answer, str)))
    if not found and refused:
        raise refusal(root, f"no usable sound file, {len(refused)} refused", f"the first: {refused[0]}")
    if not found:
        endings = " ".join(sorted(ENDINGS))
        raise refusal(root, "no sound files in it or below it", f"give a folder with some of {endings}")
    return Scan(root, found, refused)


def checked(
    paths: Sequence[Path], workers: int = 2, progress: Callable[[int, int], None] | None = None
) -> list[Recording | str]:
    """For each file the recording, or the line that says why it is of no use; decoded on ``workers`` threads."""
    answers: list[Recording | str] = []
    with ThreadPoolExecutor(max(1, workers)) as pool:
        try:
            for answer in pool.map(_usable, paths):
                answers.append(answer)
                if progress:
                    progress(len(answers), len(paths))
        except BaseException:  # Ctrl-C must not wait for the files that are still in the queue
            pool.shutdown(cancel_futures=True)
            raise
    return answers


def split(
    recordings: Sequence[Recording], validation: float = 0.1, root: Path | str | None = None
) -> tuple[list[Recording], list[Recording]]:
    """``(train, validation)``: each file goes by the hash of its path below ``root``, whatever else is there.

    So a file keeps its side when others come or go, and when the folder moves. Pass ``Scan.root`` as
    ``root``; without it, the deepest folder that holds all files stands in, which may change with them. Of
    the files, about a share of ``validation`` is held back, but at least one, and at least one is left to
    train on. A single file is for training: ``([file], [])``. Raises InputError for a share outside [0, 1).

    >>> files = [Recording(Path(f"/d/{i}.wav"), 16_000, 1, 16_000) for i in range(20)]
    >>> train, held = split(files, root="/d")
    >>> len(train), [recording.path.name for recording in held]
    (18, ['11.wav', '17.wav'])
    """
    if not 0 <= validation < 1:
        raise InputError(f"validation: {validation} is no share of the files; give 0.1 for a tenth")
    if len(recordings) < 2 or not validation:
        return list(recordings), []
    if root is None:
        root = os.path.commonpath([recording.path.parent for recording in recordings])
    place = {recording: _place(_name(recording.path, Path(root))) for recording in recordings}
    held = {recording for recording in recordings if place[recording] < validation}
    held = held or {min(recordings, key=place.__getitem__)}
    if len(held) == len(recordings):
        held.remove(max(recordings, key=place.__getitem__))
    train = [recording for recording in recordings if recording not in held]
    return train, [recording for recording in recordings if recording in held]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # inside a folder that may not be entered
        return False


def _walk(root: Path, shut: list[str]) -> Iterator[Path]:
    """Paths with the ending of a sound file, in any order; folders that cannot be read go to ``shut``."""
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
            if entry.suffix.lower() in ENDINGS:
                yield entry
            elif _is_folder(entry):
                folders.append(entry)


def _usable(path: Path) -> Recording | str:
    """The recording, or the line that says why it is of no use."""
    try:
        recording = check(path)
    except InputError as error:
        return str(error)
    if recording.seconds < SHORTEST:
        return str(refusal(path, ", ".join(recording.warnings), "leave it out"))
    return recording


def _name(path: Path, root: Path) -> str:
    """The path below the root, alike on every system: macOS stores accents in two parts."""
    return unicodedata.normalize("NFC", path.relative_to(root).as_posix())


def _place(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(sha256(name.encode("utf-8", "surrogateescape")).digest()[:6], "big") / 2**48
