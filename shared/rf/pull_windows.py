"""Rules of what slides along the axes: convolution, pooling, padding, interpolation, and unfolding.

Output ``o`` of a window reads ``stride · o − padding + dilation · t`` for its taps ``t``; a transposed convolution
is that read the other way, so its outputs are read by the inputs for which the same equation holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product

from shared.rf.boxes import ZERO, Box, Indices, merged, split
from shared.rf.rules import Need, Pulled, along, besides, nothing, own_position, rule
from shared.rf.trace import Call


def window(wanted: Indices, kernel: int, stride: int, padding: int, dilation: int) -> Indices:
    """What a window reads for these outputs."""
    return wanted.scaled(stride).moved(-padding).plus(Indices.span(0, kernel).scaled(dilation))


def transposed(wanted: Indices, kernel: int, stride: int, padding: int, dilation: int) -> Indices:
    """Which inputs write into these outputs."""
    return wanted.moved(padding).plus(Indices.span(0, kernel).scaled(dilation).mirrored()).divided(stride)


@rule("convolution", "_convolution", "cudnn_convolution", "mkldnn_convolution")
def _convolution(call: Call, need: Need) -> Pulled:
    value, weight, turned = call["input"], call["weight"], call["transposed"]
    batch, channels, *places = need.box
    kernel, groups = weight.shape[2:], call["groups"]
    settings = [_each(call[name], len(kernel)) for name in ("stride", "padding", "dilation")]
    slide = transposed if turned else window
    read = [slide(*each) for each in zip(places, kernel, *settings, strict=True)]
    if value.tracked:
        yield value, (batch, _grouped(channels, call.outputs[0].shape[1], value.shape[1], groups), *read)
    if weight.tracked:
        own = Indices.span(0, weight.shape[0]) if turned else channels
        yield weight, (own, *(along(weight.shape, dim) for dim in range(1, len(weight.shape))))
    if call["bias"] is not None and call["bias"].tracked:
        yield call["bias"], (channels,)


@rule(
    *(f"max_pool{n}d_with_indices" for n in (2, 3)), *(f"max_pool{n}d" for n in (1, 2, 3)),
    *(f"avg_pool{n}d" for n in (1, 2, 3)),
)  # fmt: skip
def _pool(call: Call, need: Need) -> Pulled:
    value = call["self"]
    axes = int(call.name.split("pool")[1][0])
    kernel = _each(call["kernel_size"], axes)
    stride = _each(call["stride"] or kernel, axes)
    padding = _each(call["padding"], axes)
    dilation = _each(call.arguments.get("dilation", 1), axes)
    read = map(window, need.box[-axes:], kernel, stride, padding, dilation)
    yield value, (*need.box[:-axes], *read)


@rule(
    "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", local=nothing,
)  # fmt: skip
def _adaptive(call: Call, need: Need) -> Pulled:
    value = call["self"]
    axes = len(call["output_size"])
    sizes = zip(need.box[-axes:], value.shape[-axes:], call["output_size"], strict=True)
    read = [_mapped(wanted, lambda o, n=n, m=m: range(o * n // m, -(-(o + 1) * n // m))) for wanted, n, m in sizes]
    yield value, (*need.box[:-axes], *read)


@rule("constant_pad_nd")
def _zero_padding(call: Call, need: Need) -> Pulled:
    before = call["pad"][::2][::-1]
    lead = len(need.box) - len(before)
    moved = (indices.moved(-each) for indices, each in zip(need.box[lead:], before, strict=True))
    yield call["self"], (*need.box[:lead], *moved)


def _folding(call: Call, need: Need, fold: Callable[[int, int], int]) -> Pulled:
    """Padding that takes from the tensor itself; of a picture that goes on past its border it is more picture."""
    value = call.tensors[0]
    before = (call["pad"] if "pad" in call.arguments else call["padding"])[::2][::-1]
    lead = len(need.box) - len(before)
    read = []
    for indices, length, each in zip(need.box[lead:], value.shape[lead:], before, strict=True):
        moved = indices.moved(-each)
        inside = moved.within(length) == moved
        read.append(Indices.of(fold(at, length) for at in moved) if need.bounded and not inside else moved)
    yield value, (*need.box[:lead], *read)


@rule(*(f"reflection_pad{n}d" for n in (1, 2, 3)))
def _reflection(call: Call, need: Need) -> Pulled:
    return _folding(call, need, lambda at, length: length - 1 - abs(length - 1 - abs(at)))


@rule(*(f"replication_pad{n}d" for n in (1, 2, 3)))
def _replication(call: Call, need: Need) -> Pulled:
    return _folding(call, need, lambda at, length: min(max(at, 0), length - 1))


@rule("circular_pad")
def _circular(call: Call, need: Need) -> Pulled:
    return _folding(call, need, lambda at, length: at % length)


INTERPOLATIONS = {
    **{f"upsample_nearest{n}d": "nearest" for n in (1, 2, 3)},
    **{f"_upsample_nearest_exact{n}d": "nearest-exact" for n in (1, 2, 3)},
    **dict.fromkeys(("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"), "linear"),
    "upsample_bicubic2d": "cubic",
    "_upsample_bilinear2d_aa": "linear, smoothed",
    "_upsample_bicubic2d_aa": "cubic, smoothed",
}


@rule(*INTERPOLATIONS)
def _interpolation(call: Call, need: Need) -> Pulled:
    arguments, kind = call.arguments, INTERPOLATIONS[call.name]
    value = arguments.get("self") or arguments["input"]
    result = call.outputs[0].shape
    factors = arguments.get("scale_factors") or [
        arguments.get(name) for name in ("scales_d", "scales_h", "scales_w", "scales") if name in arguments
    ]
    axes = len(result) - 2
    read = []
    for at in range(axes):
        factor = factors[at] if len(factors) == axes else None
        length, wanted = value.shape[2 + at], result[2 + at]
        corners = arguments.get("align_corners", False)
        places = _places(kind, length, wanted, corners, factor)
        spread = length == 1 < wanted  # one cell in every place, however far the picture goes on
        indices = ZERO if spread else _mapped(need.box[2 + at], places)
        if need.bounded:
            indices = Indices.of(min(max(each, 0), length - 1) for each in indices)
        read.append(indices)
    yield value, (*need.box[:2], *read)


def _places(kind: str, length: int, wanted: int, corners: bool, factor: float | None) -> Callable[[int], Sequence[int]]:
    """Which inputs an output of an interpolation is mixed from, those of weight zero left out; in exact fractions."""
    step = 1 / Fraction(factor).limit_denominator(10**6) if factor else Fraction(length, wanted)
    if corners:
        step = Fraction(length - 1, wanted - 1) if wanted > 1 else Fraction(0)
    offset = Fraction(0) if corners else (step - 1) / 2

    def nearest(at: int) -> Sequence[int]:
        return (math.floor(at * step),)

    def nearest_exact(at: int) -> Sequence[int]:
        return (math.floor((at + Fraction(1, 2)) * step),)

    def linear(at: int) -> Sequence[int]:
        place = at * step + offset
        below = math.floor(place)
        return (below,) if below == place else (below, below + 1)

    def cubic(at: int) -> Sequence[int]:
        place = at * step + offset
        below = math.floor(place)
        return (below,) if below == place else range(below - 1, below + 3)

    def smoothed(at: int) -> Sequence[int]:
        place, wide = at * step + offset, max(step, Fraction(1))
        reach = wide * (1 if kind.startswith("linear") else 2)
        around = range(math.floor(place - reach) + 1, math.ceil(place + reach))
        return [each for each in around if each == place or abs(each - place) != wide]

    known = {"nearest": nearest, "nearest-exact": nearest_exact, "linear": linear, "cubic": cubic}
    return known.get(kind, smoothed)


@rule("im2col")
def _unfolding(call: Call, need: Need) -> Pulled:
    value = call["self"]
    kernel, stride, padding, dilation = (_each(call[name], 2) for name in _UNFOLDING)
    batch, columns, blocks = need.box
    taps = split(columns, (value.shape[1], *kernel))
    cells = split(blocks, tuple(map(_count, value.shape[2:], kernel, stride, padding, dilation)))
    for (channel, *tap), cell in product(taps, list(cells)):
        read = [
            at.scaled(s).moved(-p).plus(t.scaled(d))
            for at, t, s, p, d in zip(cell, tap, stride, padding, dilation, strict=True)
        ]
        yield value, (batch, channel, *read)


@rule("col2im")
def _folding_back(call: Call, need: Need) -> Pulled:
    value, size = call["self"], call["output_size"]
    kernel, stride, padding, dilation = (_each(call[name], 2) for name in _UNFOLDING)
    batch, channels, *places = need.box
    lengths = tuple(map(_count, size, kernel, stride, padding, dilation))
    for tap in product(*map(range, kernel)):
        cell = [
            at.moved(p - t * d).divided(s).within(length)
            for at, t, s, p, d, length in zip(places, tap, stride, padding, dilation, lengths, strict=True)
        ]
        if all(cell):
            column: Box = (channels, *(Indices.span(t, t + 1) for t in tap))
            yield value, (batch, merged(column, (call.outputs[0].shape[1], *kernel)), merged(tuple(cell), lengths))


@rule("mkldnn_rnn_layer", local=own_position)
def _recurrence(call: Call, need: Need) -> Pulled:
    """``[t, b, c]``: a step hears all before it, or all after it."""
    value = call["input"]
    length = value.shape[0]
    if need.number:  # the last state
        time = Indices.span(0, length)
    else:
        wanted = need.box[0].within(length)
        time = Indices.span(wanted.first, length) if call["reverse"] else Indices.span(0, wanted.last + 1)
    yield value, (time, need.box[-2], along(value.shape, 2))
    yield from besides(call, "input")


_UNFOLDING = ("kernel_size", "stride", "padding", "dilation")


def _grouped(channels: Indices, results: int, arguments: int, groups: int) -> Indices:
    """The argument channels of the groups in which these result channels lie."""
    if groups == 1:
        return Indices.span(0, arguments)
    own = Indices.of({channel // (results // groups) for channel in channels})
    return own.scaled(arguments // groups).plus(Indices.span(0, arguments // groups))


def _mapped(indices: Indices, places: Callable[[int], Sequence[int]]) -> Indices:
    return Indices.of({place for at in indices for place in places(at)})


def _count(length: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _each(setting: int | Sequence[int], axes: int) -> Sequence[int]:
    """One setting an axis, where one for all was given."""
    if isinstance(setting, int):
        return [setting] * axes
    return list(setting) * axes if len(setting) == 1 else setting
