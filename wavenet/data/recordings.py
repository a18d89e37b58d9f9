"""The source that most people have: a folder of recordings, of any length, rate and channel count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wavenet.data.folder import scan, split
from wavenet.data.tracks import RecordedTrack, Tracks, by_time


@dataclass(frozen=True, kw_only=True)
class Recordings:
    """All sound files below a folder, or one file."""

    tagged = True

    path: str
    """The folder or file."""

    def load(self, validation: float, progress: Callable[[int, int], None] | None = None) -> Tracks:
        """Decode everything once to see what can be used; split by file, or one file by time."""
        found = scan(Path(self.path), progress=progress)
        train, held = split(found.recordings, validation, found.root)
        remarks = [*(f"left out: {line}" for line in found.refused), *found.warnings]
        if not held and validation:
            train_part, held_part = by_time(RecordedTrack(train[0]), validation)
            return Tracks([train_part], [held_part], remarks)
        return Tracks([RecordedTrack(each) for each in train], [RecordedTrack(each) for each in held], remarks)
