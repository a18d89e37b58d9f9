"""The source that most people have: a folder of recordings, of any length, rate and channel count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shared.errors import InputError
from wavenet.data.folder import scan, split
from wavenet.data.levels import treated
from wavenet.data.tracks import RecordedTrack, Tracks, by_time


@dataclass(frozen=True, kw_only=True)
class Recordings:
    """All sound files below a folder, or one file."""

    tagged = True

    path: str
    """The folder or file."""
    trim: float | None = None
    """Decibels below a recording's loudest frame at which it is silent: its silent ends are left out. None: kept."""
    level: float | None = None
    """dBFS to which each recording is brought by a gain of its own. None: as it is.

    A vocoder trained so expects the mel frames of such sound: ``wavenet prepare --level`` makes it.
    """
    step: int = 1
    """What is left out of a beginning is a multiple of so many samples: the hop of features aligned to the file."""

    def __post_init__(self):
        if self.trim is not None and not 0 < self.trim <= 120:
            raise ValueError(f"trim lies above 0 and up to 120 dB, not {self.trim}")
        if self.level is not None and not -60 <= self.level <= -3:
            raise ValueError(f"level lies between -60 and -3 dBFS, not {self.level}")
        if self.step < 1:
            raise ValueError(f"step must be at least 1, not {self.step}")

    def load(self, validation: float, progress: Callable[[int, int], None] | None = None) -> Tracks:
        """Decode everything once to see what can be used, and once more for trim or level.

        The split is by file, or one file's by time; no treatment changes a file's side.
        """
        found = scan(Path(self.path), progress=progress)
        train, held = split(found.recordings, validation, found.root)
        whole = [RecordedTrack(each) for each in (*train, *held)]
        tracks, said = treated(whole, self.trim, self.level, self.step, progress)
        remarks = [*(f"left out: {line}" for line in found.refused), *found.warnings, *said]
        if not held and validation:
            train_part, held_part = by_time(tracks[0], validation)
            return Tracks([train_part], [held_part], remarks)
        return Tracks(tracks[: len(train)], tracks[len(train) :], remarks)


def recordings(path: Path | str, trim: float | None = None, level: float | None = None) -> Recordings:
    """The source for what a user asks for; InputError for a trim or level out of range."""
    try:
        return Recordings(path=str(Path(path).resolve()), trim=trim, level=level)  # found from any folder
    except ValueError as error:
        raise InputError(f"--{error}") from None
