"""A built-in source that needs no data: a plucked string playing random notes of one scale.

Each note is a sum of the string's partials. Partial ``n`` starts with the amplitude that plucking at a fraction
of the length gives it, ``sin(nπp) / n²`` (the Fourier series of a triangle), and dies away faster the higher it is,
as in a real string. A new note damps the one before: one string, one note at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wavenet.audio import RATE
from wavenet.data.tracks import ArrayTrack, Tracks

SCALE = tuple(220.0 * 2 ** (step / 12) for step in (0, 3, 5, 7, 10, 12, 15, 17))
"""The notes in Hz: the minor pentatonic scale from A3 (220 Hz) up to D5 (587 Hz)."""

SHORTEST, LONGEST = 0.2, 0.5  # seconds from one note to the next
PLUCKED_AT = 0.23  # of the string's length
FADE = 0.005  # seconds in which a damped note ends
CLIP_SECONDS = 5.0


def pluck(frequency: float, seconds: float, loudness: float = 1.0) -> np.ndarray:
    """One note, float64 ``[seconds · 16000]``; its peak is near ``loudness``.

    >>> note = pluck(220.0, 0.5)
    >>> len(note), bool(np.abs(note[:800]).max() > np.abs(note[-800:]).max())
    (8000, True)
    """
    time = np.arange(round(seconds * RATE)) / RATE
    partials = np.arange(1, int(0.45 * RATE / frequency) + 1)[:, None]
    amplitudes = np.sin(partials * np.pi * PLUCKED_AT) / partials**2
    decays = 2.5 + 0.8 * partials * (frequency / 220)  # 1/s
    note = (amplitudes * np.exp(-decays * time) * np.sin(2 * np.pi * frequency * partials * time)).sum(0)
    return loudness * note / np.abs(amplitudes).sum()


def melody(seconds: float, random: np.random.Generator) -> np.ndarray:
    """Random notes of the scale, float32 ``[seconds · 16000]``, in [-1, 1]."""
    wave = np.zeros(round(seconds * RATE))
    fade = np.linspace(1, 0, round(FADE * RATE))
    at = 0
    while at < len(wave):
        length = min(round(random.uniform(SHORTEST, LONGEST) * RATE), len(wave) - at)
        note = pluck(SCALE[random.integers(len(SCALE))], length / RATE, random.uniform(0.5, 0.9))[:length]
        note[-len(fade) :] *= fade[: len(note)]
        wave[at : at + len(note)] = note
        at += length
    return wave.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Plucks:
    """Melodies in memory, made from a seed."""

    tagged = True

    minutes: float = 4.0
    """How much to make, validation included."""
    seed: int = 0
    """Of the notes."""

    def load(self, validation: float, progress: Callable[[int, int], None] | None = None) -> Tracks:
        """Make all clips; the last share of them is held back."""
        count = max(2, round(self.minutes * 60 / CLIP_SECONDS))
        tracks = []
        for at in range(count):
            wave = melody(CLIP_SECONDS, np.random.default_rng([self.seed, at]))
            tracks.append(ArrayTrack(f"melody {at}", wave))
            if progress:
                progress(at + 1, count)
        held = max(1, round(count * validation)) if validation else 0
        return Tracks(tracks[: count - held], tracks[count - held :])
