"""Dilated convolutions that keep the resolution, and the two ways to stack them.

Every layer declares its ``field`` (see ``shared.rf``); tests hold it against the gradient. Tensors are
``[b, c, *axes]``: batch, channels, then 1 (time), 2 (image) or 3 (volume) axes.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from shared import rf
from shared.rf import Field

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class CausalConv1d(nn.Conv1d):
    """A dilated convolution over time that never sees the future: ``[b, c, t] -> [b, c', t]``.

    Output ``t`` is computed from inputs ``t − (kernel_size − 1)·dilation … t``; before the start there are zeros.
    Its weights are those of ``nn.Conv1d``.

    >>> import torch
    >>> CausalConv1d(1, 8, kernel_size=2, dilation=4)(torch.zeros(3, 1, 100)).shape
    torch.Size([3, 8, 100])
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 2, dilation: int = 1, bias: bool = True):
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation, bias=bias)
        self.field = Field.causal(kernel_size, dilation)

    def forward(self, input: Tensor) -> Tensor:
        """Pad the past with zeros, then convolve."""
        return self.valid(F.pad(input, (self.field.history, 0)))

    def valid(self, input: Tensor) -> Tensor:
        """Only outputs whose whole field is given: ``[b, c, history + t] -> [b, c', t]``."""
        return super().forward(input)


def dilated_conv(
    dimensions: int, in_channels: int, out_channels: int, kernel_size: int = 3, dilation: int = 1, bias: bool = True
) -> nn.Conv1d | nn.Conv2d | nn.Conv3d:
    """A centred dilated convolution in 1, 2 or 3 dimensions that keeps every axis's length.

    Only odd kernels have a centre; an even one raises ``ValueError``.

    >>> import torch
    >>> dilated_conv(3, 1, 4, dilation=2)(torch.zeros(1, 1, 8, 9, 10)).shape
    torch.Size([1, 4, 8, 9, 10])
    """
    if kernel_size % 2 == 0:
        raise ValueError(f"a centred convolution needs an odd kernel, not {kernel_size}; CausalConv1d takes any")
    padding = (kernel_size - 1) // 2 * dilation
    conv = CONVOLUTIONS[dimensions](
        in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=bias
    )
    conv.field = Field.conv(kernel_size, dilation=dilation, padding=padding)
    return conv


class DilatedResidualBlock(nn.Module):
    """Two dilated convolutions with batch norm beside a shortcut (He et al. 2015, dilated as in Yu et al. 2017).

    ``[b, c, *axes] -> [b, c', *axes]``; the shortcut is a 1×1 projection where the channels change. Its field is
    that of the two convolutions: 1 + 2·(kernel_size − 1)·dilation; the shortcut adds nothing to it.

    >>> DilatedResidualBlock(16, 16, dilation=4).field.size
    17
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, dilation: int = 1, dimensions: int = 2
    ):
        super().__init__()
        self.conv1 = dilated_conv(dimensions, in_channels, out_channels, kernel_size, dilation, bias=False)
        self.norm1 = NORMS[dimensions](out_channels)
        self.conv2 = dilated_conv(dimensions, out_channels, out_channels, kernel_size, dilation, bias=False)
        self.norm2 = NORMS[dimensions](out_channels)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else CONVOLUTIONS[dimensions](in_channels, out_channels, 1)
        self.field = rf.through(self.conv1.field, self.conv2.field)

    def forward(self, x: Tensor) -> Tensor:
        """ReLU of the sum of both ways."""
        residual = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(self.shortcut(x) + residual)


class DilatedConvNet(nn.Sequential):
    """A stack of dilated convolutions by schedule, ReLU between them: ``[b, c, *axes] -> [b, c', *axes]``.

    ``channels`` is the width between layers. With ``causal=True`` (one dimension only) no output sees the future.

    >>> from shared.schedules import exponential
    >>> DilatedConvNet(3, 8, exponential(4)).field
    <31 [-15..+15], jump 1, gap-free>
    >>> DilatedConvNet(1, 1, exponential(10), kernel_size=2, causal=True, dimensions=1).field.size
    1024
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dilations: Sequence[int],
        *,
        channels: int = 16,
        kernel_size: int = 3,
        dimensions: int = 2,
        causal: bool = False,
    ):
        if causal and dimensions != 1:
            raise ValueError(f"only time has a past: causal needs dimensions=1, not {dimensions}")
        widths = [in_channels, *[channels] * (len(dilations) - 1), out_channels]
        convs = [
            CausalConv1d(wide, narrow, kernel_size, dilation)
            if causal
            else dilated_conv(dimensions, wide, narrow, kernel_size, dilation)
            for (wide, narrow), dilation in zip(pairwise(widths), dilations, strict=True)
        ]
        layers: list[nn.Module] = []
        for conv in convs:
            layers += [conv, nn.ReLU()]
        super().__init__(*layers[:-1])
        self.field = rf.through(*(conv.field for conv in convs))
