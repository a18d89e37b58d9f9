"""Backbones turn pictures into features at three depths, and say how far each of them sees.

A backbone is a module ``images [b, 3, h, w] -> Features`` with two more ``Features``: ``channels``, how many
channels each depth has, and ``fields``, the ``shared.rf.Field`` of one cell over the pixels.
"""

from typing import Generic, NamedTuple, TypeVar

from torch import nn

from shared.rf import Field

T = TypeVar("T")


class Features(NamedTuple, Generic[T]):
    """One value a depth: fine and shallow, in between (where an auxiliary head looks), coarse and deep."""

    low: T
    middle: T
    high: T


def field_of(layer: nn.Conv2d | nn.MaxPool2d) -> Field:
    """The field of one square layer, read off its own settings.

    >>> field_of(nn.MaxPool2d(3, stride=2, padding=1))
    <3 [-1..+1], jump 2, gap-free>
    """
    kernel_size, stride, dilation, padding = (
        value[0] if isinstance(value, tuple) else value
        for value in (layer.kernel_size, layer.stride, layer.dilation, layer.padding)
    )
    return Field.conv(kernel_size, stride=stride, dilation=dilation, padding=padding)
