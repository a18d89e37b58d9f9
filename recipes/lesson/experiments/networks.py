"""The plain stack that most experiments train, so that arms differ in their rates alone."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from shared.layers import CONVOLUTIONS, NORMS, dilated_conv


def normed_stack(
    rates: Sequence[int], out_channels: int, *, channels: int = 16, dimensions: int = 2, in_channels: int = 1
) -> nn.Sequential:
    """3-tap convolutions, one a rate, each with batch norm and ReLU, then a 1×1: ``[b, c, *axes] -> [b, c', *axes]``.

    Parameters do not depend on the rates. The 1×1 adds nothing to what one output sees.

    >>> sum(parameter.numel() for parameter in normed_stack((1, 2, 4, 8, 16), 3).parameters())
    9571
    """
    layers: list[nn.Module] = []
    for rate in rates:
        conv = dilated_conv(dimensions, in_channels, channels, dilation=rate, bias=False)
        layers += [conv, NORMS[dimensions](channels), nn.ReLU()]
        in_channels = channels
    return nn.Sequential(*layers, CONVOLUTIONS[dimensions](channels, out_channels, 1))
