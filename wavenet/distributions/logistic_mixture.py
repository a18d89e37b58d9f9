"""A mixture of logistic distributions on the 16-bit grid."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wavenet.distributions.mixture import Mixture

NARROW = 0.1  # scales; below it a series is the more accurate


@dataclass(frozen=True, kw_only=True)
class LogisticMixture(Mixture):
    """Logistic components; tails fall as an exponential, so that surprises cost little."""

    def log_below(self, z: Tensor) -> Tensor:
        """Of σ(z)."""
        return F.logsigmoid(z)

    def log_between(self, low: Tensor, high: Tensor, log_width: Tensor) -> Tensor:
        """By σ(b) − σ(a) = σ(b) · σ(−a) · (1 − e^(a − b))."""
        width = log_width.exp()
        series = log_width - width / 2 + width.square() / 24
        wide = torch.log(-torch.expm1(-width.clamp(min=NARROW)))
        return F.logsigmoid(high) + F.logsigmoid(-low) + torch.where(width < NARROW, series, wide)
