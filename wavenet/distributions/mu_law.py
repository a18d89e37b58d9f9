"""Mu-law: samples on a companded axis, fine near silence and coarse where it is loud (ITU-T G.711's curve).

The codec is the unbiased one: codes are rounded to the nearest level of the companded axis and decoded to that
level, so zero is zero, the error has no mean, and ±1 survive. It equals ``torchaudio.functional.mu_law_*``.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from wavenet.distributions import grid


def mu_law_level(wave: Tensor, classes: int = 256) -> Tensor:
    """Floats in [-1, 1] to the companded axis, 0 to classes − 1, of the same shape; what lies outside is clipped.

    >>> mu_law_level(torch.tensor([-1.0, 0.0, 1.0])).tolist()
    [0.0, 127.5, 255.0]
    """
    mu = classes - 1.0
    wave = wave.clamp(-1, 1)
    companded = torch.sign(wave) * torch.log1p(mu * wave.abs()) / math.log1p(mu)
    return (companded + 1) / 2 * mu


def mu_law_expand(level: Tensor, classes: int = 256) -> Tensor:
    """Levels of the companded axis, floats, back to [-1, 1]: the inverse of ``mu_law_level``."""
    mu = classes - 1.0
    companded = level / mu * 2 - 1
    return torch.sign(companded) * torch.expm1(companded.abs() * math.log1p(mu)) / mu


def mu_law_encode(wave: Tensor, classes: int = 256) -> Tensor:
    """Floats in [-1, 1] to codes 0 … classes − 1, of the same shape; what lies outside is clipped.

    >>> mu_law_encode(torch.tensor([-1.0, 0.0, 1.0])).tolist()
    [0, 128, 255]
    """
    return (mu_law_level(wave, classes) + 0.5).to(torch.int64)


def mu_law_decode(codes: Tensor, classes: int = 256) -> Tensor:
    """Codes back to floats in [-1, 1], each to the middle of its cell on the companded axis."""
    return mu_law_expand(codes.to(torch.float32), classes)


@lru_cache(maxsize=8)
def cells(classes: int = 256) -> tuple[Tensor, Tensor]:
    """The 16-bit values that each code stands for: the first, and the one behind the last, int64 ``[classes]``.

    They are counted, not computed. With some 600 classes and more, the levels near silence lie closer than 16-bit
    values do; a code that no value is encoded to stands for the value that its level is rounded to.

    >>> first, end = cells(256)
    >>> int(first[0]), int(end[-1]), int((end - first).min()), int((end - first).max())
    (0, 65536, 5, 1370)
    """
    codes = torch.arange(classes)
    encoded = mu_law_encode(grid.value_of(torch.arange(grid.VALUES)), classes)
    first, end = torch.searchsorted(encoded, codes), torch.searchsorted(encoded, codes, right=True)
    nearest = grid.number_of(mu_law_decode(codes, classes))
    return torch.where(first < end, first, nearest), torch.where(first < end, end, nearest + 1)
