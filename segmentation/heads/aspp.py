"""Atrous spatial pyramid pooling: the same features read at several rates and as a whole (Chen et al. 2017, V3)."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared import rf
from shared.layers import dilated_conv


class ASPPModule(nn.Module):
    """A 1×1, a 3×3 a rate and the mean of the picture, side by side, then a 1×1: ``[b, c, h, w] -> [b, c', h, w]``.

    Rates count cells of the features: 12, 24, 36 at output stride 8 span the pixels of 6, 12, 18 at 16. ``fields``
    declares what each branch sees, in cells, less the pooled one, which sees everything; ``field`` is the union of all.
    ``image_pooling=False`` leaves the pooled branch out of the module. Keys are torchvision's.

    >>> module = ASPPModule()
    >>> sum(parameter.numel() for parameter in module.parameters())
    2231296
    >>> module.train()(torch.zeros(1, 256, 32, 32)).shape   # one picture is enough to train on
    torch.Size([1, 256, 32, 32])
    >>> [field.size for field in module.fields]
    [1, 13, 25, 37]
    >>> module.field
    <37 [-18..+18], jump 1, 19% of the span is read, smallest path 1, plus a global branch>
    """

    def __init__(
        self,
        in_channels: int = 256,
        out_channels: int = 256,
        rates: Sequence[int] = (6, 12, 18),
        *,
        dropout: float = 0.5,
        image_pooling: bool = True,
    ):
        super().__init__()
        convs = [dilated_conv(2, in_channels, out_channels, 1, bias=False)]
        convs += [dilated_conv(2, in_channels, out_channels, 3, rate, bias=False) for rate in rates]
        branches: list[nn.Module] = [normed(conv) for conv in convs]
        if image_pooling:
            branches.append(ImagePooling(in_channels, out_channels))
        self.convs = nn.ModuleList(branches)
        last = nn.Conv2d(len(branches) * out_channels, out_channels, 1, bias=False)
        self.project = normed(last).append(nn.Dropout(dropout))
        self.fields: tuple[rf.Field, ...] = tuple(conv.field for conv in convs)
        finite = reduce(or_, self.fields)
        self.field: rf.Field = finite | rf.global_pool if image_pooling else finite

    def forward(self, x: Tensor) -> Tensor:
        """All branches, then their projection."""
        return self.project(torch.cat([branch(x) for branch in self.convs], dim=1))


class ImagePooling(nn.Sequential):
    """The mean of the picture, projected, in every cell: ``[b, c, h, w] -> [b, c', h, w]``."""

    def __init__(self, in_channels: int, out_channels: int):
        conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        super().__init__(nn.AdaptiveAvgPool2d(1), conv, PooledNorm(out_channels), nn.ReLU(inplace=True))

    def forward(self, input: Tensor) -> Tensor:
        """One cell, spread over the input's size."""
        mean = super().forward(input)
        spread = F.interpolate(mean, size=input.shape[-2:], mode="bilinear", align_corners=False)
        # a single cell has forgotten whether channels come last; one branch that differs would turn all of them
        if input.is_contiguous(memory_format=torch.channels_last):
            spread = spread.contiguous(memory_format=torch.channels_last)
        return spread


class PooledNorm(nn.BatchNorm2d):
    """Batch norm that can train on a batch of one picture.

    One value a channel has no variance: there it normalises by the running statistics and leaves them as they are,
    which is what evaluation does. With two values or more it is ``nn.BatchNorm2d``.
    """

    def forward(self, input: Tensor) -> Tensor:
        """``[b, c, 1, 1] -> [b, c, 1, 1]``."""
        if self.training and input.shape[0] * input.shape[2] * input.shape[3] == 1:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)


def normed(conv: nn.Conv2d) -> nn.Sequential:
    """A convolution, its batch norm and ReLU, under the keys 0 and 1."""
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU(inplace=True))
