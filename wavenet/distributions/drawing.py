"""How to draw from what a network predicts: temperature, top-k, top-p; together they say which draws are safe enough.

Temperature comes first: it takes probabilities to the power of 1/T. Then top-k keeps the k likeliest values. Then
top-p keeps the nucleus (Holtzman et al. 2019, arXiv 1904.09751): the fewest of the likeliest that hold at least the
share p of what is left, and never none. Of equally likely values the lower one counts as likelier. What is kept is
drawn in proportion to its probability.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Drawing:
    """The model as it is, unless something is changed.

    >>> Drawing(top_k=40, top_p=0.95).restricts, Drawing(top_p=1.0).restricts
    (True, False)
    """

    temperature: float = 1.0
    """Below 1 is safer, above 1 is bolder; 0 takes the likeliest value."""
    top_k: int | None = None
    """Only the k likeliest values; None: all."""
    top_p: float | None = None
    """Only the nucleus with this share of the probability; None, or 1: all."""

    def __post_init__(self):
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature is a number from 0 up, not {self.temperature}; 1 is the model as it is")
        if self.top_k is not None and not (isinstance(self.top_k, int) and self.top_k >= 1):
            raise ValueError(f"top_k is a whole number from 1 up, not {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p lies above 0 and up to 1, not {self.top_p}")

    @property
    def restricts(self) -> bool:
        """Whether some values are never drawn for their small probability."""
        return self.top_k is not None or (self.top_p is not None and self.top_p < 1)


PLAIN = Drawing()
"""As likely as predicted."""
GREEDY = Drawing(temperature=0.0)
"""The likeliest value, always."""


def kept(logits: Tensor, drawing: Drawing) -> Tensor:
    """Which values may be drawn, bool of the shape of ``logits [*, values]``; the temperature is above 0.

    >>> kept(torch.tensor([0.0, 3.0, 1.0, 2.0]), Drawing(top_k=3, top_p=0.8)).tolist()
    [False, True, False, True]
    """
    order = logits.argsort(dim=-1, descending=True, stable=True)
    ranked = logits.gather(-1, order).double()
    masses = ((ranked - ranked[..., :1]) / drawing.temperature).exp()
    if drawing.top_k is not None:
        masses = masses[..., : drawing.top_k]
    heavier = F.pad(masses.cumsum(-1), (1, 0))  # of all that are likelier, and of all together
    share = 1.0 if drawing.top_p is None else drawing.top_p
    inside = heavier[..., :-1] < share * heavier[..., -1:] if share < 1 else torch.ones_like(masses, dtype=torch.bool)
    return torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order[..., : inside.shape[-1]], inside)
