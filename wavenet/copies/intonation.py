"""Does a copy keep the melody of speech: where there is a voice, and how high it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wavenet.pitch import follow_pitch

GROSS = 0.2  # of the recording's frequency


class Intonation(NamedTuple):
    """How the pitch of a copy differs, counted in frames of 10 ms; NaN where the recording and it share no voice."""

    cents: float  # root mean square, over frames voiced in both
    hertz: float  # likewise
    fine: float  # cents again, without gross errors: a few leaps of octaves outweigh all else in a mean of squares
    gross: float  # share of these frames that are more than 20 % off (Rabiner et al., 1976)
    voicing: float  # share of all frames that are voiced in one of them only


def intonation(recording: np.ndarray, copy: np.ndarray) -> Intonation:
    """Compare the pitch contours (``wavenet.pitch.follow_pitch``) of two waves ``[t]`` at 16 kHz, place by place.

    Levels do not matter. Cents and voicing are symmetric, the share of gross errors is not.

    >>> time = np.arange(8000) / 16000
    >>> found = intonation(*(np.sin(2 * np.pi * frequency * time) for frequency in (200, 202)))
    >>> round(found.cents), round(found.hertz), found.gross, found.voicing
    (17, 2, 0.0, 0.0)
    """
    ours, theirs = follow_pitch(recording), follow_pitch(copy)
    both = ours.voiced & theirs.voiced
    voicing = float((ours.voiced != theirs.voiced).mean())
    if not both.any():
        return Intonation(np.nan, np.nan, np.nan, np.nan, voicing)
    true, found = ours.frequency[both], theirs.frequency[both]
    cents, gross = 1200 * np.log2(found / true), np.abs(found / true - 1) > GROSS
    return Intonation(
        _rms(cents), _rms(found - true), np.nan if gross.all() else _rms(cents[~gross]), float(gross.mean()), voicing
    )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))
