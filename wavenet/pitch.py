"""Pitch: of each frame by itself, and of a whole sound as a path through its frames.

By itself (``track_pitch``): normalised autocorrelation (McLeod and Wyvill, "A smarter way to find pitch", 2005). The
function ``2·r(τ) / m(τ)`` lies in [-1, 1] and is 1 where the frame repeats exactly after ``τ`` samples. Its peak is the
periodicity; the place of the first high peak is the period.

As a path (``follow_pitch``): each frame offers several peaks, and to be unvoiced; the cheapest way through all frames
wins, where leaps and changes of voicing cost. Costs are those of Boersma, "Accurate short-term analysis of the
fundamental frequency and the harmonics-to-noise ratio of a sampled sound", 1993. Frames are clipped at their centre
first (Sondhi, "New methods of pitch extraction", 1968), or else noise through a formant passes for a high voice.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wavenet.audio import RATE

FRAME, HOP = 1024, 256  # samples: 64 ms and 16 ms
LOWEST, HIGHEST = 80.0, 1000.0  # Hz
FIRST_PEAK = 0.9  # of the highest peak: the first that reaches it is the period, not a multiple of it
# of follow_pitch
SPAN, STEP = 640, 160  # samples: 40 ms and 10 ms, for which the costs below are meant
CLIPPED = 0.3  # of a frame's amplitude
CANDIDATES = 8  # peaks that a frame offers
VOICED = 0.45  # periodicity from which a frame is rather voiced than not
SILENT = 0.03  # of the sound's loudest instant: frames below are rather unvoiced
OCTAVE = 0.01  # what a candidate loses for each octave below the highest
LEAP = 0.35  # cost of an octave from frame to frame
ONSET = 0.14  # cost of a change between voiced and unvoiced
AT_ONCE = 2048  # frames analysed together


class Pitch(NamedTuple):
    """One number a frame."""

    frequency: np.ndarray  # Hz
    periodicity: np.ndarray  # height of the peak, at most 1
    level: np.ndarray  # root mean square


class Contour(NamedTuple):
    """One number a frame, 10 ms each; frame ``j`` is centred at sample ``160 · j``."""

    frequency: np.ndarray  # Hz; 0 where unvoiced
    voiced: np.ndarray  # bool


def track_pitch(wave: np.ndarray) -> Pitch:
    """Pitch of each frame of ``wave [t]`` at 16 kHz.

    >>> tone = np.sin(2 * np.pi * 330 * np.arange(8000) / RATE)
    >>> bool(np.abs(track_pitch(tone).frequency - 330).max() < 1)
    True
    """
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(wave, np.float64), FRAME)[::HOP]
    frames = frames - frames.mean(1, keepdims=True)
    similarity = _similarity(frames)
    peaks, first = _peaks(similarity, LOWEST, HIGHEST)
    height = peaks.max(1)
    lag = first + np.argmax(peaks >= FIRST_PEAK * height[:, None], axis=1)
    refined, _ = _refined(similarity, lag[:, None])
    return Pitch(RATE / refined[:, 0], height, np.sqrt((frames**2).mean(1)))


def follow_pitch(wave: np.ndarray, lowest: float = 60.0, highest: float = 600.0) -> Contour:
    """The pitch contour of ``wave [t]`` at 16 kHz: ``1 + t // 160`` frames of 40 ms; silence before and after.

    The defaults of ``lowest`` and ``highest``, in Hz, hold all speech; 60 is the least.

    >>> tone = np.sin(2 * np.pi * 330 * np.arange(8000) / RATE)
    >>> contour = follow_pitch(np.concatenate([np.zeros(8000), tone]))
    >>> np.flatnonzero(contour.voiced)[0], contour.frequency[80].round()
    (np.int64(49), np.float64(330.0))
    """
    if not 60 <= lowest < highest <= RATE / 4:
        raise ValueError(f"lowest and highest lie in order between 60 and {RATE / 4:.0f} Hz")
    wave = np.asarray(wave, np.float64)
    loudest = np.abs(wave - wave.mean()).max() if wave.size else 0.0
    padded = np.pad(wave, (SPAN // 2, SPAN // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, SPAN)[::STEP]
    offers = [_offers(frames[at : at + AT_ONCE], loudest, lowest, highest) for at in range(0, len(frames), AT_ONCE)]
    frequency, strength = (np.concatenate(each) for each in zip(*offers, strict=True))
    chosen = frequency[np.arange(len(frequency)), _cheapest_path(frequency, strength)]
    return Contour(chosen, chosen > 0)


def _offers(frames: np.ndarray, loudest: float, lowest: float, highest: float) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of each frame and their strengths, ``[n, 1 + CANDIDATES]``; the first, 0 Hz, is to be unvoiced."""
    frames = frames - frames.mean(1, keepdims=True)
    similarity = _similarity(_clipped(frames))
    peaks, first = _peaks(similarity, lowest, highest)
    best = np.argsort(-peaks, axis=1, kind="stable")[:, :CANDIDATES]
    real = np.take_along_axis(peaks, best, 1) > 0
    lag, height = _refined(similarity, first + best)
    frequency = np.where(real, RATE / lag, 0.0)
    strength = np.where(real, height - OCTAVE * np.log2(highest / np.where(real, frequency, highest)), -np.inf)
    loudness = np.abs(frames).max(1) / max(loudest, 1e-9)
    unvoiced = VOICED + np.maximum(0, 2 - loudness * (1 + VOICED) / SILENT)
    return np.column_stack([np.zeros(len(frames)), frequency]), np.column_stack([unvoiced, strength])


def _cheapest_path(frequency: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """The candidate of each frame whose strengths, less the costs of going from one to the next, sum to the most."""
    voiced = frequency > 0
    octaves = np.log2(np.where(voiced, frequency, 1.0))
    origin = np.zeros(frequency.shape, np.int64)
    score = strength[0]
    for at in range(1, len(frequency)):
        leap = LEAP * np.abs(octaves[at - 1][:, None] - octaves[at])
        both, either = (op(voiced[at - 1][:, None], voiced[at]) for op in (np.logical_and, np.logical_xor))
        reached = score[:, None] - np.where(both, leap, 0.0) - ONSET * either
        origin[at] = reached.argmax(0)
        score = reached.max(0) + strength[at]
    path = np.empty(len(frequency), np.int64)
    path[-1] = score.argmax()
    for at in range(len(frequency) - 1, 0, -1):
        path[at - 1] = origin[at, path[at]]
    return path


def _clipped(frames: np.ndarray) -> np.ndarray:
    """Only what of frames ``[n, SPAN]`` stands out from 0.3 of the amplitude of their softer end."""
    third = frames.shape[1] // 3
    ends = np.abs(frames[:, :third]).max(1), np.abs(frames[:, -third:]).max(1)
    threshold = CLIPPED * np.minimum(*ends)[:, None]
    return np.sign(frames) * np.maximum(np.abs(frames) - threshold, 0)


def _similarity(frames: np.ndarray) -> np.ndarray:
    """Normalised square difference of frames ``[n, t]`` at each lag below ``t``; between -1 and 1."""
    length = frames.shape[1]
    spectrum = np.fft.rfft(frames, 2 * length)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:, :length]
    energy = np.cumsum(frames**2, axis=1)
    total = energy[:, -1:]
    head = np.concatenate([total, energy[:, ::-1][:, 1:]], axis=1)  # of x[: n − τ]
    tail = np.concatenate([total, total - energy[:, :-1]], axis=1)  # of x[τ :]
    return 2 * correlation / np.maximum(head + tail, 1e-12)


def _peaks(similarity: np.ndarray, lowest: float, highest: float) -> tuple[np.ndarray, int]:
    """Heights of the local maxima between two frequencies, -1 elsewhere, and the lag of the first column."""
    first, last = int(RATE / highest), int(RATE / lowest) + 1
    inside = similarity[:, first : last + 1]
    is_peak = (inside >= similarity[:, first - 1 : last]) & (inside >= similarity[:, first + 1 : last + 2])
    return np.where(is_peak, inside, -1.0), first


def _refined(similarity: np.ndarray, lag: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lags ``[n, k]`` and heights of peaks, by the parabola through each and its neighbours."""
    before, at, after = (np.take_along_axis(similarity, lag + shift, 1) for shift in (-1, 0, 1))
    curvature = before - 2 * at + after
    offset = np.where(curvature < 0, (before - after) / np.where(curvature < 0, 2 * curvature, 1), 0.0)
    return lag + offset, np.minimum(1.0, at - (before - after) * offset / 4)


def cents_off(frequency: np.ndarray, notes: tuple[float, ...]) -> np.ndarray:
    """Distance in cents from each frequency to the nearest of the notes.

    >>> cents_off(np.array([220.0, 226.4]), (220.0, 440.0)).round().tolist()
    [0.0, 50.0]
    """
    return np.abs(1200 * np.log2(frequency[:, None] / np.asarray(notes))).min(1)
