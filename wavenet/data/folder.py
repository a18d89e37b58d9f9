"""A folder of recordings: what is in it, what of it can be used, and which part validation gets.

Every file is decoded once, through the gate in ``wavenet.audio``; one that it refuses is named, never fatal.
Order and split depend on the paths below the folder alone, so they survive a move to another machine.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import InputError, refusal, shown
from shared.folders import composed, examined, is_folder, place_of, walk
from wavenet.audio import SHORTEST, Recording, check

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
    if not is_folder(root):
        only = _usable(root)
        if isinstance(only, str):
            raise InputError(only)
        return Scan(root.parent, (only,), ())
    shut: list[str] = []
    paths = sorted(walk(root, ENDINGS, shut), key=lambda path: _name(path, root))
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
    return examined(_usable, paths, workers, progress)


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
    place = {recording: place_of(_name(recording.path, Path(root))) for recording in recordings}
    held = {recording for recording in recordings if place[recording] < validation}
    held = held or {min(recordings, key=place.__getitem__)}
    if len(held) == len(recordings):
        held.remove(max(recordings, key=place.__getitem__))
    train = [recording for recording in recordings if recording not in held]
    return train, [recording for recording in recordings if recording in held]


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
    """The path below the root, alike on every system."""
    return composed(path.relative_to(root).as_posix())
