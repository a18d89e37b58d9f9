"""Pitch and periodicity by normalised autocorrelation (McLeod and Wyvill, "A smarter way to find pitch", 2005).

Per frame, the normalised square difference function ``2·r(τ) / m(τ)`` lies in [-1, 1] and is 1 where the frame
repeats exactly after ``τ`` samples. Its peak is the periodicity; the place of the first high peak is the period.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wavenet.audio import RATE

FRAME, HOP = 1024, 256  # samples: 64 ms and 16 ms
LOWEST, HIGHEST = 80.0, 1000.0  # Hz
FIRST_PEAK = 0.9  # of the highest peak: the first that reaches it is the period, not a multiple of it


class Pitch(NamedTuple):
    """One number a frame."""

    frequency: np.ndarray  # Hz
    periodicity: np.ndarray  # height of the peak, at most 1
    level: np.ndarray  # root mean square


def track_pitch(wave: np.ndarray) -> Pitch:
    """Pitch of each frame of ``wave [t]`` at 16 kHz.

    >>> tone = np.sin(2 * np.pi * 330 * np.arange(8000) / RATE)
    >>> bool(np.abs(track_pitch(tone).frequency - 330).max() < 1)
    True
    """
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(wave, np.float64), FRAME)[::HOP]
    frames = frames - frames.mean(1, keepdims=True)
    spectrum = np.fft.rfft(frames, 2 * FRAME)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:, :FRAME]
    energy = np.cumsum(frames**2, axis=1)
    total = energy[:, -1:]
    head = np.concatenate([total, energy[:, ::-1][:, 1:]], axis=1)  # of x[: n − τ]
    tail = np.concatenate([total, total - energy[:, :-1]], axis=1)  # of x[τ :]
    similarity = 2 * correlation / np.maximum(head + tail, 1e-12)

    first, last = int(RATE / HIGHEST), int(RATE / LOWEST) + 1
    inside = similarity[:, first : last + 1]
    is_peak = (inside >= similarity[:, first - 1 : last]) & (inside >= similarity[:, first + 1 : last + 2])
    peaks = np.where(is_peak, inside, -1.0)
    height = peaks.max(1)
    lag = first + np.argmax(peaks >= FIRST_PEAK * height[:, None], axis=1)
    rows = np.arange(len(frames))
    before, at, after = (similarity[rows, lag + shift] for shift in (-1, 0, 1))
    curvature = before - 2 * at + after
    offset = np.where(curvature < 0, (before - after) / np.where(curvature < 0, 2 * curvature, 1), 0.0)
    return Pitch(RATE / (lag + offset), height, np.sqrt((frames**2).mean(1)))


def cents_off(frequency: np.ndarray, notes: tuple[float, ...]) -> np.ndarray:
    """Distance in cents from each frequency to the nearest of the notes.

    >>> cents_off(np.array([220.0, 226.4]), (220.0, 440.0)).round().tolist()
    [0.0, 50.0]
    """
    return np.abs(1200 * np.log2(frequency[:, None] / np.asarray(notes))).min(1)
