"""Mel-cepstral distortion: how far the envelopes of two sounds lie apart, in dB, whatever their pitch."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from wavenet.audio import RATE
from wavenet.copies.spectra import WINDOW, amplitudes, floored

FILTERS = 40
COEFFICIENTS = 13


def mel_cepstral_distortion(recording: Tensor, copy: Tensor, coefficients: int = COEFFICIENTS) -> float:
    """Of two waves ``[t]``, in dB: 10 / ln 10 · √(2 Σ (c − ĉ)²) over c₁ … c₁₃, then the mean over frames.

    The formula is Kubichek's ("Mel-cepstral distance measure for objective speech quality assessment", 1993). c₀, the
    level, is left out: a copy that is only softer is perfect. The cepstra come from 40 mel filters, not from WORLD's
    or STRAIGHT's envelopes, so the figures are near those of papers but not to be mixed with them. Frames are
    compared place by place, without time warping.

    >>> wave = torch.randn(8000, generator=torch.Generator().manual_seed(0))
    >>> round(mel_cepstral_distortion(wave, wave / 2), 6)
    0.0
    """
    ours, theirs = floored(*(bands(amplitudes(wave)) for wave in (recording, copy)))
    apart = (cepstra(ours) - cepstra(theirs))[1 : 1 + coefficients]
    return float(10 / math.log(10) * (2 * apart.square().sum(0)).sqrt().mean())


def bands(spectrum: Tensor) -> Tensor:
    """Amplitudes of mel bands, each the root of its weighted mean power: ``[f, frames] -> [FILTERS, frames]``."""
    return (_filters().to(spectrum.device) @ spectrum.square()).sqrt()


def cepstra(band: Tensor) -> Tensor:
    """Coefficients ``c`` with ``ln a(ω) = c₀ + Σ c_d cos dω``, ω from 0 to π along the mel scale: ``[m, *] -> [m, *]``.

    >>> flat = torch.full((4, 1), torch.e, dtype=torch.float64)
    >>> cepstra(flat).flatten().abs().round(decimals=9).tolist()
    [1.0, 0.0, 0.0, 0.0]
    """
    count = len(band)
    places = (torch.arange(count, dtype=torch.float64) + 0.5) * math.pi / count
    waves = torch.cos(torch.arange(count, dtype=torch.float64)[:, None] * places) * 2 / count
    waves[0] /= 2
    return waves.to(band.device) @ band.log()


@lru_cache(maxsize=1)
def _filters() -> Tensor:
    filters = melscale_fbanks(WINDOW // 2 + 1, 0.0, RATE / 2, FILTERS, RATE, norm=None, mel_scale="slaney").t().double()
    return filters / filters.sum(1, keepdim=True)
