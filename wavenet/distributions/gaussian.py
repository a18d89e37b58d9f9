"""One Gaussian, or a mixture of them, on the 16-bit grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wavenet.distributions.mixture import Mixture

NARROW = 0.5  # of width · max(1, distance from the mean); below it a series is the more accurate
TAIL = -1.0


@dataclass(frozen=True, kw_only=True)
class Gaussian(Mixture):
    """Gaussian components: one, as in ClariNet (Ping et al. 2018, arXiv 1807.07281), or more."""

    mixtures: int = 1
    """How many components."""

    def log_below(self, z: Tensor) -> Tensor:
        """Of Φ(z)."""
        return log_ndtr(z)

    def log_between(self, low: Tensor, high: Tensor, log_width: Tensor) -> Tensor:
        """By log Φ on the side of the mean where it has all its digits, or around the middle where that is narrow."""
        middle, width = (low + high) / 2, log_width.exp()
        narrow = width * middle.abs().clamp(min=1) < NARROW

        m2, w2 = (torch.where(narrow, each, 0.0).square() for each in (middle, width))
        around = w2 * (m2 - 1) / 24 + w2 * w2 * (m2 * m2 - 6 * m2 + 3) / 1920
        series = log_width - m2 / 2 - math.log(2 * math.pi) / 2 + torch.log1p(around)

        near = torch.where(middle > 0, -low, high)  # mirrored so that most of it lies below the mean
        width = torch.where(narrow, 1.0, width)
        far = near - width
        deep = log_scaled(far) - log_scaled(near) - width * middle.abs()  # the squares, subtracted by hand
        ratio = torch.where(near < TAIL, deep, log_ndtr(far) - log_ndtr(near))
        return torch.where(narrow, series, log_ndtr(near) + torch.log(-torch.expm1(ratio)))


def log_ndtr(z: Tensor) -> Tensor:
    """log Φ(z) with a gradient that is right far below the mean, where ``torch.special.log_ndtr``'s is not.

    >>> z = torch.tensor(-1000.0, requires_grad=True)
    >>> round(torch.autograd.grad(log_ndtr(z), z)[0].item())
    1000
    """
    tail = log_scaled(z) - z.square() / 2
    return torch.where(z < TAIL, tail, torch.special.log_ndtr(z.clamp(min=TAIL)))


def log_scaled(z: Tensor) -> Tensor:
    """log (Φ(z) · e^(z² / 2)) in the lower tail."""
    return torch.log(torch.special.erfcx(-z.clamp(max=TAIL) * math.sqrt(0.5)) / 2)
