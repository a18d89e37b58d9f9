"""A softmax over mu-law codes (van den Oord et al. 2016, section 2.2; the companding is ITU-T G.711's).

The codec is the unbiased one: codes are rounded to the nearest level of the companded axis and decoded to that
level, so zero is zero, the error has no mean, and ±1 survive. It equals ``torchaudio.functional.mu_law_*``.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def mu_law_encode(wave: Tensor, classes: int = 256) -> Tensor:
    """Floats in [-1, 1] to codes 0 … classes − 1, of the same shape; what lies outside is clipped.

    >>> mu_law_encode(torch.tensor([-1.0, 0.0, 1.0])).tolist()
    [0, 128, 255]
    """
    mu = classes - 1.0
    wave = wave.clamp(-1, 1)
    companded = torch.sign(wave) * torch.log1p(mu * wave.abs()) / math.log1p(mu)
    return ((companded + 1) / 2 * mu + 0.5).to(torch.int64)


def mu_law_decode(codes: Tensor, classes: int = 256) -> Tensor:
    """Codes back to floats in [-1, 1], each to the middle of its cell on the companded axis."""
    mu = classes - 1.0
    companded = codes.to(torch.float32) / mu * 2 - 1
    return torch.sign(companded) * torch.expm1(companded.abs() * math.log1p(mu)) / mu


@dataclass(frozen=True, kw_only=True)
class Categorical:
    """A class a mu-law code; the likelihood is over codes, so bits per sample lie between 0 and log2(classes)."""

    tagged = True

    classes: int = 256
    """How many mu-law levels: 256 is 8 bits."""

    def __post_init__(self):
        if not 2 <= self.classes <= 65_536:
            raise ValueError(f"classes must lie between 2 and 65536, not {self.classes}")

    @property
    def channels(self) -> int:
        """A logit a class."""
        return self.classes

    def input_layer(self, width: int) -> nn.Embedding:
        """A row a code, which is a 1×1 convolution of one-hot codes without its zeros.

        Rows start as a smooth random curve of the level instead of independent noise: neighbouring levels sound
        alike, and the network need not learn that first.
        """
        layer = nn.Embedding(self.classes, width)
        level = torch.linspace(-1, 1, self.classes)[:, None]
        octaves = 2.0 ** torch.linspace(-1, 5, width)
        with torch.no_grad():
            layer.weight.copy_(torch.sin(math.pi * (level * octaves + 2 * torch.rand(width))))
        return layer

    def encode(self, wave: Tensor) -> Tensor:
        """Codes, int64."""
        return mu_law_encode(wave, self.classes)

    def quantise(self, wave: Tensor) -> Tensor:
        """The nearest level."""
        return mu_law_decode(mu_law_encode(wave, self.classes), self.classes)

    def nll(self, parameters: Tensor, wave: Tensor) -> Tensor:
        """Cross-entropy of the code, in nats."""
        logits = parameters.reshape(-1, self.classes).float()
        return F.cross_entropy(logits, self.encode(wave).reshape(-1), reduction="none").reshape(wave.shape)

    def sample(self, parameters: Tensor, uniform: Tensor, temperature: float = 1.0) -> Tensor:
        """The code at which the cumulative probability passes ``uniform``, decoded; temperature 0 takes the likeliest.

        Sums run in float64, so engines that differ in the last float32 bits still draw the same code.
        """
        if temperature == 0:
            return mu_law_decode(parameters.argmax(-1), self.classes)
        cumulative = torch.softmax(parameters.double() / temperature, -1).cumsum(-1)
        passed = (cumulative <= uniform.double()[..., None] * cumulative[..., -1:]).sum(-1)
        return mu_law_decode(passed.clamp(max=self.classes - 1), self.classes)
