"""Spectra of a recording and of its copy, made alike, and the oldest distance between them.

Frames are compared place by place. Nothing is aligned first, so a copy that comes late is a worse copy. What lies
further than ``RANGE`` below the recording's loudest bin is taken to lie there: inaudible hiss, or digital silence,
does not decide, and turning both sounds up changes nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

WINDOW, HOP = 512, 128  # samples: 32 ms and 8 ms
RANGE = 80.0  # dB
SILENCE = 1e-6  # amplitude of a bin, for recordings that are nothing but silence


def amplitudes(wave: Tensor, n_fft: int = WINDOW, hop: int = HOP, window: int | None = None) -> Tensor:
    """Of each bin of each frame, Hann windows: ``[t] -> [f, 1 + t // hop]`` as float64; silence before and after.

    >>> amplitudes(torch.zeros(1000)).shape
    torch.Size([257, 8])
    """
    shape = torch.hann_window(window or n_fft, dtype=torch.float64, device=wave.device)
    spectrum = torch.stft(
        wave.double(), n_fft, hop, len(shape), shape, center=True, pad_mode="constant", return_complex=True
    )
    return spectrum.abs()


def floored(recording: Tensor, copy: Tensor) -> tuple[Tensor, Tensor]:
    """Two sets of amplitudes, none below the floor that the first one sets."""
    floor = (recording.amax() * 10 ** (-RANGE / 20)).clamp_min(SILENCE)
    return recording.clamp_min(floor), copy.clamp_min(floor)


def log_spectral_distance(recording: Tensor, copy: Tensor) -> float:
    """Log-spectral distance in dB of two waves ``[t]``: per frame √(mean over bins of (10 log₁₀ P/P̂)²), then the mean.

    ``P`` are powers of bins, windows of 32 ms every 8 ms (Gray and Markel, "Distance measures for speech processing",
    1976). 0 is a perfect copy; one at half the amplitude is 6 dB away. Two takes of the same noise are about 8 dB
    apart, whoever made them, since single bins of noise are random.

    >>> wave = torch.randn(8000, generator=torch.Generator().manual_seed(0))
    >>> round(log_spectral_distance(wave, wave / 2), 2)
    6.02
    """
    ours, theirs = floored(amplitudes(recording), amplitudes(copy))
    return float((20 * torch.log10(ours / theirs)).square().mean(0).sqrt().mean())
