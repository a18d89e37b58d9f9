"""A batch of which each process of a team holds some rows, and what has to look at all of it: batch norm, dropout,
and losses that are no mean over rows.

What is computed here is what one process would compute of the whole batch, rounding aside (on GPUs torch draws the
random numbers of dropout in another way, so there they differ). The loss that each process
states is that of the whole batch, and ``optimise`` lowers the mean of what they state; so what comes back through a sum
over processes is a sum over processes again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from shared.errors import InputError
from shared.training.processes import ALONE, Team


@dataclass(frozen=True)
class Rows:
    """Which rows of each batch of ``batch`` are this process's.

    Alone, it has all of them, nothing here costs anything, and ``batch`` need not be known.

    >>> Rows(Team(rank=1, size=2), batch=5).own
    range(2, 5)
    """

    team: Team = ALONE
    batch: int = 1

    @property
    def own(self) -> range:
        """Their numbers."""
        return self.team.share(self.batch)

    def check(self) -> None:
        """InputError unless each process has rows: all have to take part in each layer's sums."""
        if self.batch < self.team.size:
            raise InputError(
                f"{self.team.size} processes cannot share a batch of {self.batch}; start fewer, or a new run with "
                f"--set train.batch={self.team.size}"
            )

    def total(self, value: Tensor) -> Tensor:
        """The sum of each process's ``value``, with its gradient."""
        return value if self.team.size == 1 else _Total.apply(value, self.team)

    def whole(self, values: Tensor) -> Tensor:
        """Values of all rows, from those of each process's: ``[own, …] -> [batch, …]``, without a gradient."""
        if self.team.size == 1:
            return values.detach()
        everyones = values.new_zeros((self.batch, *values.shape[1:]))
        everyones[self.own.start : self.own.stop] = values.detach()
        return self.team.summed(everyones)


ALL_ROWS = Rows()


def look_at_whole_batches(network: nn.Module, rows: Rows) -> None:
    """Have each batch norm and dropout in ``network`` look at whole batches, in place; weights and names stay.

    ValueError for a layer of other kinds, which would look at own rows alone. With ``Rows.check`` a batch has two rows
    at least, so a batch norm that makes an exception of one needs none here.
    """
    if rows.team.size == 1:
        return
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d) and child.affine and child.momentum is not None:
                setattr(parent, name, BatchNorm2d(child, rows.team))
            elif isinstance(child, nn.Dropout) and child.p < 1:
                setattr(parent, name, Dropout(child, rows))
            elif isinstance(child, _BatchNorm | _DropoutNd):
                raise ValueError(f"{name}: {child} would look at each process's rows alone")


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm by the statistics of the whole batch (Ioffe & Szegedy 2015), in training.

    torch's own ``SyncBatchNorm`` does this on GPUs only.
    """

    def __init__(self, like: nn.BatchNorm2d, team: Team):
        super().__init__(like.num_features, like.eps, like.momentum, device="meta")
        for name, value in (*like.named_parameters(), *like.named_buffers()):
            setattr(self, name, value)
        self.team = team

    def forward(self, input: Tensor) -> Tensor:
        """``[b, c, h, w]`` of own rows -> the same shape."""
        if not self.training:
            return super().forward(input)
        mean, variance, count = self._statistics(input.detach())
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            unbiased = variance * (count / (count - 1))
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        return _Normalised.apply(input, self.weight, self.bias, mean, variance, self.eps, count, self.team)

    def _statistics(self, input: Tensor) -> tuple[Tensor, Tensor, float]:
        """Mean and biased variance of each channel over all processes' rows, and how many values they are of."""
        running = self.running_mean.clone(), self.running_var.clone()  # torch's kernel wants some to bring up to date
        mean, variance = torch.batch_norm_update_stats(input, *running, 0.0)
        mine = torch.cat([mean.new_tensor([input.numel() / self.num_features]), mean, variance])
        everyones = Rows(self.team, self.team.size).whole(mine[None])  # a row a process
        counts, means, variances = everyones.split([1, self.num_features, self.num_features], dim=1)
        share = counts / counts.sum()
        mean = (share * means).sum(0)
        # within the processes, and between them: no difference of large squares
        return mean, (share * (variances + (means - mean).square())).sum(0), float(counts.sum())


class Dropout(nn.Dropout):
    """Dropout whose random numbers are drawn for the whole batch, as one process draws them."""

    def __init__(self, like: nn.Dropout, rows: Rows):
        super().__init__(like.p)
        self.rows = rows

    def forward(self, input: Tensor) -> Tensor:
        """``[b, …]`` of own rows -> the same shape."""
        if not self.training or not self.p:
            return input
        last = input.ndim == 4 and input.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format  # numbers are drawn in the order of memory
        shape = (self.rows.batch, *input.shape[1:])
        kept = torch.empty(shape, dtype=input.dtype, device=input.device, memory_format=layout).bernoulli_(1 - self.p)
        own = self.rows.own
        return input * kept.div_(1 - self.p)[own.start : own.stop]


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, team: Team) -> Tensor:
        ctx.team = team
        return team.summed(value.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.team.summed(gradient.clone()), None


class _Normalised(torch.autograd.Function):
    """``weight · (x − mean) / √(variance + eps) + bias``, where mean and variance are those of all processes' ``x``."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, *others: Any
    ) -> Tensor:
        ctx.eps, ctx.count, ctx.team = others
        ctx.save_for_backward(x, weight, mean, variance)
        return F.batch_norm(x, mean, variance, weight, bias, eps=ctx.eps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors
        # as if the statistics stood still
        to_x, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        # and they move with all processes' x: − scale · (mean of gradient + x̂ · mean of gradient · x̂)
        means = ctx.team.summed(torch.stack([to_weight, to_bias])) / ctx.count
        scale = -weight * torch.rsqrt(variance + ctx.eps)
        to_x += F.batch_norm(x, mean, variance, scale * means[0], scale * means[1], eps=ctx.eps)
        return to_x, to_weight, to_bias, None, None, None, None, None
