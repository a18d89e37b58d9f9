"""A softmax over mu-law codes (van den Oord et al. 2016, section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavenet.distributions import tables
from wavenet.distributions.drawing import PLAIN, Drawing, kept
from wavenet.distributions.mu_law import cells, mu_law_decode, mu_law_encode, mu_law_expand


@dataclass(frozen=True, kw_only=True)
class Categorical:
    """A class a mu-law code; the likelihood is over codes, so bits per sample lie between 0 and log2(classes)."""

    tagged = True
    slack = 0.0
    fine = False

    classes: int = 256
    """How many mu-law levels: 256 is 8 bits."""

    def __post_init__(self):
        if not 2 <= self.classes <= 65_536:
            raise ValueError(f"classes must lie between 2 and 65536, not {self.classes}")

    @property
    def scale(self) -> str:
        """What bits per sample are counted on."""
        return f"mu-law codes of {self.classes}"

    @property
    def values(self) -> int:
        """A value a class."""
        return self.classes

    @property
    def channels(self) -> int:
        """A logit a class."""
        return self.classes

    def initial(self) -> Tensor:
        """Every class equally likely."""
        return torch.zeros(self.classes)

    def input_layer(self, width: int) -> nn.Embedding:
        """A row a code, which is a 1×1 convolution of one-hot codes without its zeros."""
        return tables.smooth(nn.Embedding(self.classes, width))

    def encode(self, wave: Tensor) -> Tensor:
        """Codes, int64."""
        return mu_law_encode(wave, self.classes)

    def number_of(self, wave: Tensor) -> Tensor:
        """Codes, int64."""
        return mu_law_encode(wave, self.classes)

    def value_of(self, number: Tensor) -> Tensor:
        """A code's level."""
        return mu_law_decode(number, self.classes)

    def quantise(self, wave: Tensor) -> Tensor:
        """The nearest level."""
        return mu_law_decode(mu_law_encode(wave, self.classes), self.classes)

    def edges(self) -> Tensor:
        """Halfway between neighbouring levels on the companded axis."""
        return mu_law_expand(torch.arange(1, self.classes, dtype=torch.float64) - 0.5, self.classes)

    def nll(self, parameters: Tensor, wave: Tensor) -> Tensor:
        """Cross-entropy of the code, in nats."""
        logits = parameters.reshape(-1, self.classes).float()
        return F.cross_entropy(logits, self.encode(wave).reshape(-1), reduction="none").reshape(wave.shape)

    def log_mass(self, parameters: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """A code's probability is spread evenly over the 16-bit values that it stands for."""
        first, end = (each.to(parameters.device) for each in cells(self.classes))
        shared = torch.minimum(high[..., None], end) - torch.maximum(low[..., None], first)
        shares = (shared.clamp(min=0) / (end - first)).log()
        return torch.logsumexp(torch.log_softmax(parameters.float(), -1) + shares, -1)

    def check_drawing(self, drawing: Drawing) -> None:
        """There are few enough codes to rank them: anything goes."""

    def sample(self, parameters: Tensor, uniform: Tensor, drawing: Drawing = PLAIN) -> Tensor:
        """The code at which the cumulative probability passes ``uniform``, decoded; temperature 0 takes the likeliest.

        Sums run in float64, so engines that differ in the last float32 bits still draw the same code.
        """
        if drawing.temperature == 0:
            return mu_law_decode(parameters.argmax(-1), self.classes)
        masses = torch.softmax(parameters.double() / drawing.temperature, -1)
        if drawing.restricts:
            masses = masses * kept(parameters, drawing)
        cumulative = masses.cumsum(-1)
        passed = (cumulative <= uniform.double()[..., None] * cumulative[..., -1:]).sum(-1)
        return mu_law_decode(passed.clamp(max=self.classes - 1), self.classes)
