"""Models of listeners, from packages of their own: PESQ and STOI, where those are installed."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np

from wavenet.audio import RATE


def installed() -> tuple[str, ...]:
    """Which of ``pesq`` and ``pystoi`` are there."""
    return tuple(name for name in ("pesq", "pystoi") if find_spec(name))


def wideband_pesq(recording: np.ndarray, copy: np.ndarray) -> float:
    """Mean opinion score by ITU-T P.862.2, about 1 to 4.64, of two waves ``[t]``; NaN where it hears no speech.

    PESQ aligns and sets levels by itself, so neither a shift nor a gain counts.
    """
    from pesq import PesqError, pesq

    if not recording.any() or not copy.any():
        return float("nan")
    try:
        return float(pesq(RATE, recording.astype(np.float32), copy.astype(np.float32), "wb"))
    except (PesqError, ZeroDivisionError, ValueError):  # too short, or no utterance in it
        return float("nan")


def short_time_intelligibility(recording: np.ndarray, copy: np.ndarray) -> float:
    """STOI, up to 1 (Taal et al., 2011), of two waves ``[t]``; NaN where there is too little sound."""
    from pystoi import stoi

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(stoi(recording, copy, RATE))
        except (RuntimeWarning, ValueError):
            return float("nan")
