"""The effective receptive field: not which inputs can matter, but how much they do, measured by the gradient.

Luo, Li, Urtasun and Zemel, "Understanding the effective receptive field in deep convolutional neural networks"
(2016, arXiv:1701.04128): the gradient of one output falls off from the middle, so that most of the field has little
influence. It depends on weights and inputs, and changes with training. Its square is what is summed here: with random
weights its mean is the number of paths from an input, whose spread ``rf.variance`` gives in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from shared.rf.network import Network
from shared.rf.reach import of


@dataclass(frozen=True)
class Influence:
    """Influence along one axis, as a distribution over input positions; lengths are in input positions."""

    influence: Tensor = field(repr=False)
    """``[length]``, of sum 1."""
    field: int
    """The size of the theoretical field, 0 if there is no finite one."""
    sigma: float
    """Standard deviation of the influence about its mean."""
    width95: int
    """Length of the shortest stretch that holds 95 % of the influence."""

    @property
    def ratio(self) -> float:
        """The 95 % width as a share of the theoretical field."""
        return self.width95 / self.field if self.field else math.nan

    def __str__(self) -> str:
        share = f", {self.ratio:.0%} of the field of {self.field}" if self.field else ", of the whole input"
        return f"σ {self.sigma:.2f}, 95 % within {self.width95}{share}"


@dataclass(frozen=True)
class Effective:
    """What a model's middle output is influenced by, measured on a batch; ``axes`` holds one ``Influence`` an axis."""

    axes: tuple[Influence, ...]
    influence: Tensor = field(repr=False)
    """Mean squared gradient ``[*axes]``, of sum 1."""

    def __str__(self) -> str:
        return "\n".join(map(str, self.axes))


def effective(model: nn.Module, batch: Tensor, *, at: tuple[int, ...] | None = None) -> Effective:
    """Measure the effective receptive field of one output position, the middle one unless ``at`` says another.

    ``batch`` is ``[b, c, *axes]``, floating point; the more pictures, the smoother the answer. As in the paper, the
    gradient that is followed back has random signs, one a channel and picture, and what counts is its mean
    square. The model is asked in evaluation and left as it was.

    >>> _ = torch.manual_seed(0)
    >>> layers = [nn.Conv1d(8, 8, 3, padding=1, bias=False) for _ in range(6)]
    >>> result = effective(nn.Sequential(*layers), torch.randn(64, 8, 41))
    >>> result.axes[0].field, 1.6 < result.axes[0].sigma < 2.4   # √(6 · 2/3) = 2
    (13, True)
    """
    training, _ = model.training, model.eval()
    try:
        reach = of(model, batch[:1])
        reach = reach.at(at) if at is not None else reach
        gradient = _gradient(model, batch, reach.network, reach.position)
    finally:
        model.train(training)
    axes = reach.network.axes
    others = [dim for dim in range(gradient.ndim) if dim not in axes]
    influence = gradient.double().square().mean(others)
    influence = influence / influence.sum()
    spreads = []
    for at_axis, known in enumerate(reach.axes):
        rest = [dim for dim in range(influence.ndim) if dim != at_axis]
        spreads.append(_influence(influence.sum(rest) if rest else influence, known.size))
    return Effective(tuple(spreads), influence)


def _gradient(model: nn.Module, batch: Tensor, network: Network, position: tuple[int, ...]) -> Tensor:
    with torch.enable_grad():
        x = batch.detach().clone().requires_grad_()
        y = network.pick(model(x))
        for dim, place in reversed(list(zip(network.along, position, strict=True))):
            y = y.select(dim, place)
        signs = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(0)).to(y.device)
        return torch.autograd.grad((y * signs).sum(), x)[0]


def _influence(influence: Tensor, size: int) -> Influence:
    places = torch.arange(len(influence), dtype=influence.dtype, device=influence.device)
    mean = (influence * places).sum()
    sigma = ((places - mean) ** 2 * influence).sum().sqrt()
    total = torch.cat([influence.new_zeros(1), influence.cumsum(0)])
    ends = torch.searchsorted(total, total + 0.95 - 1e-12)
    widths = (ends - torch.arange(len(total), device=ends.device))[ends < len(total)]
    return Influence(influence.cpu(), size, float(sigma), int(widths.min()))
