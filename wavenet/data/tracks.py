"""A track is a stretch of sound of known length of which any window can be read: mono, 16 kHz, in [-1, 1].

Training, evaluation and yardsticks know only tracks; where the sound comes from is the business of a source.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import numpy as np

from shared.errors import InputError
from wavenet.audio import RATE, Recording, read


class Track(Protocol):
    """``name`` for messages, ``samples`` in all, and ``read(start, samples) -> float32 [samples]``."""

    name: str
    samples: int

    def read(self, start: int, samples: int) -> np.ndarray:
        """Samples ``start … start + samples``, which lie inside the track."""
        ...


@dataclass(frozen=True)
class RecordedTrack:
    """A sound file, read window by window; a 10-hour file costs no more memory than a short one."""

    recording: Recording

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.recording.path)

    @property
    def samples(self) -> int:
        """Length at 16 kHz."""
        return self.recording.samples

    def read(self, start: int, samples: int) -> np.ndarray:
        """Decode just this window."""
        return read(self.recording, start, samples)


@dataclass(frozen=True, eq=False)
class ArrayTrack:
    """Sound that is already in memory."""

    name: str
    wave: np.ndarray

    @property
    def samples(self) -> int:
        """Length of the array."""
        return len(self.wave)

    def read(self, start: int, samples: int) -> np.ndarray:
        """A view of the array."""
        return self.wave[start : start + samples]


@dataclass(frozen=True)
class Part:
    """A stretch of another track, as if it were all there is.

    >>> Part(ArrayTrack("ramp", np.arange(10.0)), begin=6, samples=4).read(1, 2).tolist()
    [7.0, 8.0]
    """

    whole: Track
    begin: int
    samples: int

    @property
    def name(self) -> str:
        """The whole track's name."""
        return self.whole.name

    def read(self, start: int, samples: int) -> np.ndarray:
        """The same window, shifted."""
        return self.whole.read(self.begin + start, samples)

    @property
    def mark(self) -> str:
        """What was done to the sound, in a few characters; cutting in two for validation is not counted."""
        return self.whole.mark if isinstance(self.whole, Part) else ""


@dataclass(frozen=True)
class Treated(Part):
    """A stretch without silent ends, times ``gain``.

    As any part, it keeps its place in the track, and with it that of features which are aligned to the track.

    >>> Treated(ArrayTrack("ramp", np.arange(10.0)), begin=6, samples=4, gain=0.125).read(1, 2).tolist()
    [0.875, 1.0]
    """

    gain: float = 1.0

    def read(self, start: int, samples: int) -> np.ndarray:
        """The same window, shifted and louder."""
        sound = super().read(start, samples)
        return sound if self.gain == 1 else (sound * self.gain).clip(-1, 1)

    @property
    def mark(self) -> str:
        """Where it begins, and the gain."""
        return f" {self.begin} {20 * math.log10(self.gain):.2f} dB"


@dataclass(frozen=True)
class Tracks:
    """What a source holds: tracks to train on, tracks held back, and remarks for the user, one line each."""

    train: Sequence[Track]
    validation: Sequence[Track]
    remarks: Sequence[str] = ()

    @property
    def whole(self) -> Sequence[Track]:
        """Everything, with a track that was cut in two for validation put together again."""
        sides = ({part.whole for part in side if isinstance(part, Part)} for side in (self.train, self.validation))
        cut = set.intersection(*sides)
        together = {
            part.whole if isinstance(part, Part) and part.whole in cut else part
            for part in (*self.train, *self.validation)
        }
        return sorted(together, key=lambda track: track.name)

    @property
    def fingerprint(self) -> str:
        """Names and lengths of all tracks, their sides and marks, in a few characters; the same wherever they lie."""
        sides = (("train", self.train), ("validation", self.validation))
        names = [
            f"{side} {Path(track.name).name} {track.samples}{track.mark if isinstance(track, Part) else ''}"
            for side, tracks in sides
            for track in tracks
        ]
        return sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    @property
    def minutes(self) -> tuple[float, float]:
        """Minutes to train on and held back."""
        return seconds_of(self.train) / 60, seconds_of(self.validation) / 60


def seconds_of(tracks: Sequence[Track]) -> float:
    """Duration of all of them together."""
    return sum(track.samples for track in tracks) / RATE


def by_time(track: Track, validation: float) -> tuple[Track, Track]:
    """One track cut in two: the beginning to train on, the end held back."""
    if track.samples < 2:
        raise InputError(f"{track.name}: too short to hold a part back for validation; give a longer recording")
    cut = min(max(1, round(track.samples * (1 - validation))), track.samples - 1)
    return Part(track, 0, cut), Part(track, cut, track.samples - cut)
