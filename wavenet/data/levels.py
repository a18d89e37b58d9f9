"""Where the sound of a recording begins and ends, and how loud it is: silent ends left out, all at one level.

A recording is measured once, in windows, by the power of its frames of 20 ms. Sound is what is at most so many
decibels quieter than its own loudest frame: recordings differ in level, so a fixed threshold would lose whole files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from shared.errors import shown
from shared.folders import examined
from wavenet.audio import RATE
from wavenet.data.tracks import Track, Treated, seconds_of

TRIM = 40.0
"""Decibels below a recording's loudest frame at which silence begins."""
LEVEL = -23.0
"""dBFS of the sounding part, root mean square; a full-scale sine has -3."""
MARGIN = 0.05
"""Seconds of silence that are kept before and behind the sound."""
HIGHEST_PEAK = -1.0
"""dBFS that no sample exceeds after a gain."""
MOST_GAIN = 30.0
"""Decibels: more would make sound of the noise in a silent recording."""
FRAME = 320  # samples, 20 ms
WINDOW = 2**22  # samples measured at a time, 4.4 minutes: a 10-hour file costs no more memory than a short one
NAMED = 10  # recordings named in a remark; of more, the number is given


@dataclass(frozen=True)
class Levels:
    """What was measured of a track."""

    begin: int
    """The first sample of the first frame that sounds."""
    end: int
    """Behind the last sample of the last one."""
    level: float
    """dBFS of all frames that sound, root mean square; -inf where there is digital silence alone."""
    peak: float
    """dBFS of the largest sample."""

    def gain(self, level: float) -> float:
        """Decibels that bring it to ``level``, as far as its peak and ``MOST_GAIN`` allow.

        >>> Levels(0, 1000, level=-40, peak=-15).gain(-23)
        14.0
        """
        return min(level - self.level, HIGHEST_PEAK - self.peak, MOST_GAIN) if self.level > -math.inf else 0.0


def measured(track: Track, below: float = TRIM) -> Levels:
    """Read a track once and find what of it sounds: frames at most ``below`` decibels under the loudest."""
    powers, peak = [], 0.0
    for piece in pieces(track, WINDOW // FRAME * FRAME):
        peak = max(peak, float(np.abs(piece).max()))
        frames = np.pad(piece, (0, -len(piece) % FRAME)).reshape(-1, FRAME)
        powers.append(np.square(frames, dtype=np.float64).mean(axis=1))
    power = np.concatenate(powers)
    sounding = np.flatnonzero(power >= power.max() * 10 ** (-below / 10))
    end = min(track.samples, (int(sounding[-1]) + 1) * FRAME)
    return Levels(int(sounding[0]) * FRAME, end, _decibels(power[sounding].mean()), _decibels(peak**2))


def pieces(track: Track, samples: int) -> Iterator[np.ndarray]:
    """All of a track in order, so many samples at a time."""
    for start in range(0, track.samples, samples):
        yield track.read(start, min(samples, track.samples - start))


def treated(
    tracks: Sequence[Track],
    trim: float | None,
    level: float | None,
    step: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Track], list[str]]:
    """The tracks without silent ends, if ``trim`` decibels are given, and at ``level`` dBFS, if that is; and remarks.

    No track is lost: of a silent one everything is kept. What is cut from a beginning is a multiple of ``step``
    samples. The gain is one number for a whole track.
    """
    if trim is None and level is None:
        return list(tracks), []
    found = examined(lambda track: measured(track, trim or TRIM), tracks, progress=progress)
    margin, after = round(MARGIN * RATE), []
    for track, levels in zip(tracks, found, strict=True):
        begin, end = (max(0, levels.begin - margin), levels.end + margin) if trim is not None else (0, track.samples)
        begin, end = begin // step * step, min(end, track.samples)
        gain = 10 ** (levels.gain(level) / 20) if level is not None else 1.0
        after.append(Treated(track, begin, end - begin, gain))
    remarks = _of_trimming(tracks, after, trim) if trim is not None else []
    return after, remarks + (_of_levelling(tracks, found, level) if level is not None else [])


def _of_trimming(before: Sequence[Track], after: Sequence[Track], trim: float) -> list[str]:
    shorter = [(track, rest) for track, rest in zip(before, after, strict=True) if rest.samples < track.samples]
    total = seconds_of(before)
    left_out = total - seconds_of(after)
    remarks = [
        f"silence {trim:g} dB below each recording's peak: {left_out:.1f} of {total:.1f} s left out, at the ends of "
        f"{len(shorter)} of {len(before)} recordings"
    ]
    most = [
        f"{shown(track.name)} ({1 - rest.samples / track.samples:.0%})"
        for track, rest in shorter
        if rest.samples < track.samples / 2
    ]
    return remarks + ([f"of these, more than half was left out: {_listed(most)}"] if most else [])


def _of_levelling(tracks: Sequence[Track], found: Sequence[Levels], level: float) -> list[str]:
    gains = [levels.gain(level) for levels in found]
    remarks = [f"level {level:g} dBFS: gains of {min(gains):+.1f} to {max(gains):+.1f} dB"]
    low = [gain < level - levels.level - 0.05 for gain, levels in zip(gains, found, strict=True)]
    quiet = [gain == MOST_GAIN or levels.level == -math.inf for gain, levels in zip(gains, found, strict=True)]
    loud = sum(below and not silent for below, silent in zip(low, quiet, strict=True))
    if loud:
        remarks.append(f"{loud} stay below that level, for their peaks reach {HIGHEST_PEAK:g} dBFS")
    if names := [
        shown(track.name) for track, below, silent in zip(tracks, low, quiet, strict=True) if below and silent
    ]:
        remarks.append(f"too quiet for it with a gain of {MOST_GAIN:g} dB at most, none for silence: {_listed(names)}")
    return remarks


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _decibels(power: float) -> float:
    return 10 * math.log10(power) if power > 0 else -math.inf
