"""What the mixtures on the 16-bit grid share: a value's probability is the mass of its cell, half a step either way.

(Salimans et al. 2017, "PixelCNN++", arXiv 1701.05517; van den Oord et al. 2017, "Parallel WaveNet", arXiv 1711.10433.)

A component is a location-scale family, symmetric about its mean. The cells of the first and the last value reach to
infinity, so probabilities sum to one. Masses come as logarithms from formulas that lose no digits, never from a
difference of two nearly equal numbers, so nothing is clipped and every gradient is finite.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wavenet.distributions import grid, tables
from wavenet.distributions.drawing import PLAIN, Drawing
from wavenet.distributions.mu_law import mu_law_level

MOST_MIXTURES = 256
LEVELS = 256  # rows of the input table, as many as mu-law codes usually have
MEAN_UNIT = 1 / 16  # of the network's means: about the loudness of speech, so that a training step moves them little
LOUD, QUIET = math.log(2.0**-3), math.log(2.0**-12)  # log scales at first, from a shout to a quiet room's hiss
FLOOR = math.log(2.0**-20)
"""The least log scale. A grid step is 32 such scales wide, so a logistic in the middle of a cell leaves only 2·10⁻⁷ of
its mass outside, and narrower ones would say the same."""
LEAST = 2.0**-40
"""Draws leave out so much at either end of [0, 1), where sums in float64 would decide by their rounding."""
SEARCH = 256  # squared, all values


@dataclass(frozen=True, kw_only=True)
class Mixture(ABC):
    """Parameters of a sample are the components' weights as logits (none if there is one), means, and log scales."""

    tagged = True
    slack = 8 / grid.HALF
    fine = True
    values = grid.VALUES
    scale = "16-bit samples"

    mixtures: int = 10
    """How many components."""

    def __post_init__(self):
        if not 1 <= self.mixtures <= MOST_MIXTURES:
            raise ValueError(f"mixtures must lie between 1 and {MOST_MIXTURES}, not {self.mixtures}")

    @abstractmethod
    def log_below(self, z: Tensor) -> Tensor:
        """Logarithm of a component's mass below ``z``, in scales from its mean."""

    @abstractmethod
    def log_between(self, low: Tensor, high: Tensor, log_width: Tensor) -> Tensor:
        """Logarithm of its mass between two such places, whose distance is known better than by subtraction."""

    @property
    def channels(self) -> int:
        """Weights, means, log scales."""
        return 2 if self.mixtures == 1 else 3 * self.mixtures

    def initial(self) -> Tensor:
        """Components alike in weight and mean, silence, on a ladder of scales: predictors of different certainty."""
        scales = torch.linspace(LOUD, QUIET, self.mixtures)
        return torch.cat([torch.zeros(self.channels - self.mixtures), scales])

    def initial_around(self) -> Tensor:
        """The same for ``around``: from three times as uncertain as expected to seven times surer."""
        return torch.cat([torch.zeros(self.channels - self.mixtures), torch.linspace(1.0, -2.0, self.mixtures)])

    def around(self, parameters: Tensor, prior: Tensor) -> Tensor:
        """Parameters ``[*, channels]`` in units of what was expected: ``prior [*, 2]``, a mean and a log scale."""
        *weights, means, scales = parameters.float().split(self.mixtures, -1)
        expected, log_scale = prior[..., :1], prior[..., 1:]
        return torch.cat([*weights, (expected + log_scale.exp() * means) / MEAN_UNIT, scales + log_scale], -1)

    def input_layer(self, width: int) -> tables.InterpolatedEmbedding:
        """The categorical's table of 256 rows, read between its rows."""
        return tables.smooth(tables.InterpolatedEmbedding(LEVELS, width))

    def encode(self, wave: Tensor) -> Tensor:
        """Levels of the companded axis, 0 to 255, of the nearest values on the grid."""
        return mu_law_level(self.quantise(wave), LEVELS)

    def number_of(self, wave: Tensor) -> Tensor:
        """The nearest value's number on the grid."""
        return grid.number_of(wave)

    def value_of(self, number: Tensor) -> Tensor:
        """The value of that number."""
        return grid.value_of(number)

    def quantise(self, wave: Tensor) -> Tensor:
        """The nearest value."""
        return grid.value_of(grid.number_of(wave))

    def edges(self) -> Tensor:
        """Halfway between neighbouring values."""
        return grid.edge_below(torch.arange(1, grid.VALUES))

    def nll(self, parameters: Tensor, wave: Tensor) -> Tensor:
        """Of the nearest value on the grid."""
        number = grid.number_of(wave)
        return -self.log_mass(parameters, number, number + 1)

    def log_mass(self, parameters: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """The mass between the edges of the first and the last cell."""
        weights, means, scales = self.parts(parameters.float())
        bottom, top = (grid.edge_below(each).to(means.dtype)[..., None] for each in (low, high))
        below, above = (means - bottom) * torch.exp(-scales), (top - means) * torch.exp(-scales)
        inside = self.log_between(-below, above, torch.log(top - bottom) - scales)
        first, last = low[..., None] == 0, high[..., None] == grid.VALUES
        mass = torch.where(first, self.log_below(above), torch.where(last, self.log_below(below), inside))
        mass = torch.where(first & last, torch.zeros_like(mass), mass)
        return torch.logsumexp(torch.log_softmax(weights, -1) + mass, -1)

    def check_drawing(self, drawing: Drawing) -> None:
        """ValueError for top-k and top-p: to rank 65,536 values for every sample costs more than the network itself.

        Nor would a number of values say much, where neighbours are as good as equally likely.
        """
        if drawing.restricts:
            raise ValueError("a mixture on 16-bit samples has too many values to rank; temperature is what it takes")

    def sample(self, parameters: Tensor, uniform: Tensor, drawing: Drawing = PLAIN) -> Tensor:
        """The value at which the cumulative probability passes ``uniform``, so values come as often as they are likely.

        A temperature takes weights to the power of 1/T and multiplies scales by T; at 0 the answer is the likeliest
        component's mean. Sums run in float64; the search is one of 256 edges, and another of the 256 behind the last
        that was passed. ValueError for what ``check_drawing`` refuses.
        """
        self.check_drawing(drawing)
        temperature = drawing.temperature
        weights, means, scales = self.parts(parameters.double())
        if temperature == 0:
            return self.quantise(means.gather(-1, weights.argmax(-1, keepdim=True))[..., 0].float())
        weights = torch.softmax(weights / temperature, -1)[..., None, :]
        means, inverse = means[..., None, :], (-scales).exp()[..., None, :] / temperature
        goal = uniform.double().clamp(LEAST, 1 - LEAST)[..., None]

        def passed(numbers: Tensor) -> Tensor:
            """How many of these values, in ascending order, lie wholly below the draw, without the very last."""
            edges = grid.edge_below(numbers + 1)[..., None]
            below = (weights * self.log_below((edges - means) * inverse).exp()).sum(-1)
            return ((below <= goal) & (numbers < grid.VALUES - 1)).sum(-1)

        fine = torch.arange(SEARCH, device=uniform.device)
        block = passed(fine * SEARCH + SEARCH - 1)[..., None] * SEARCH
        return grid.value_of(block[..., 0] + passed(block + fine))

    def parts(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights as logits, means and log scales, each ``[*, mixtures]``.

        The network's scales are bounded by the floor smoothly, so that one a little below it can widen again.
        """
        *weights, means, scales = parameters.split(self.mixtures, -1)
        weight = weights[0] if weights else torch.zeros_like(means)
        return weight, means * MEAN_UNIT, FLOOR + F.softplus(scales - FLOOR)
