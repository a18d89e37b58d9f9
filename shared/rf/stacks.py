"""The fields of the usual layers, alone and in sequence, as ``shared.layers`` and torch would make them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from shared.rf.field import Field

global_pool = Field(size=0, is_global=True)
"""A branch that reads the whole input, such as image pooling; no finite part."""


def conv(
    kernel_size: int, dilation: int = 1, *, stride: int = 1, padding: int | None = None, causal: bool = False
) -> Field:
    """The field of a convolution: centred, or with this ``padding`` before its first input, or causal.

    An even kernel has no centre; the odd one of its taps looks ahead.

    >>> conv(3, 6)
    <13 [-6..+6], jump 1, 23% of the span is read>
    >>> conv(7, stride=2, padding=3) >> conv(3, stride=2)   # how a ResNet begins
    <11 [-5..+5], jump 4, gap-free>
    """
    if padding is None:
        padding = (kernel_size - 1) * dilation // (1 if causal else 2)
    return Field.conv(kernel_size, stride=stride, dilation=dilation, padding=padding)


def pool(kernel_size: int, stride: int | None = None, *, padding: int = 0) -> Field:
    """The field of a pooling, whose stride is its kernel unless said otherwise.

    >>> pool(2) >> pool(2)
    <4 [0..+3], jump 4, gap-free>
    """
    return Field.conv(kernel_size, stride=stride or kernel_size, padding=padding)


def through(*fields: Field) -> Field:
    """Layers in sequence, the first named being nearest the input.

    >>> through(*(Field.causal(2, d) for d in (1, 2, 4)))
    <8 [-7..0], jump 1, gap-free>
    """
    return reduce(Field.then, fields, Field())


def stack(kernel_size: int, dilations: Sequence[int], *, causal: bool = False) -> Field:
    """The field of a stack of dilated convolutions that keep the resolution.

    >>> stack(3, [1, 2, 4, 8])
    <31 [-15..+15], jump 1, gap-free>
    >>> stack(3, [2, 4, 8])
    <29 [-14..+14], jump 1, 52% of the span is read>
    >>> stack(2, [2**i for i in range(10)] * 3, causal=True).size   # WaveNet: 0.19 s at 16 kHz
    3070
    """
    return through(*(conv(kernel_size, dilation, causal=causal) for dilation in dilations))
