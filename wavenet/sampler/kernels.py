"""The loop of the compiled sampler: samples of a few streams, one after the other, in machine code made by numba.

Weights are one flat array in the order of their use, so that the processor streams through it: every block's dilated
product and residual, then skip, hidden and output layer. ``wavenet.sampler.vectors`` has the arithmetic. Samples are
the numbers of the values that the output distribution can produce.
"""

import numpy as np

from wavenet.sampler.choosing import CATEGORICAL, choose, choose_mixed
from wavenet.sampler.expecting import expect, move, remember, surprise, value_of
from wavenet.sampler.machine_code import compiled
from wavenet.sampler.vectors import LANES, add, copy, gate, product, relu

_one, _two, _four, _eight = product(1), product(2), product(4), product(8)


@compiled
def room(size):
    """Zeros that begin where a cache line does: vectors then lie in one line each."""
    zeros = np.zeros(size + LANES, np.float32)
    skipped = (-zeros.ctypes.data // 4) % LANES
    return zeros[skipped : skipped + size]


@compiled
def affine(y, ldy, x, x0, ldx, w, w0, bias, scale, at, rows, columns, streams):
    """``y [streams, columns] = bias + scale · (x [streams, rows] · w)``, as many streams at once as there are."""
    s = 0
    while s < streams:
        left = streams - s
        if left >= 8:
            _eight(y, s * ldy, ldy, x, x0 + s * ldx, ldx, w, w0, bias, at, 0, scale, at, rows, columns)
            s += 8
        elif left >= 4:
            _four(y, s * ldy, ldy, x, x0 + s * ldx, ldx, w, w0, bias, at, 0, scale, at, rows, columns)
            s += 4
        elif left >= 2:
            _two(y, s * ldy, ldy, x, x0 + s * ldx, ldx, w, w0, bias, at, 0, scale, at, rows, columns)
            s += 2
        else:
            _one(y, s * ldy, ldy, x, x0 + s * ldx, ldx, w, w0, bias, at, 0, scale, at, rows, columns)
            s += 1


@compiled
def draw(
    numbers, newest, uniforms, temperature, top_k, top_p, rings, starts, places, dilations, taps, kind, parts, widths,
    levels, embedding, weights, offsets, biases, scales, bias_offsets, fixed, frames, kernel, skipped,
    surprises, filters, log_scales, heard, expected, cursor,
):  # fmt: skip
    """Draw ``numbers [streams, n]`` from ``uniforms [streams, n]``; rings, places and newest move on in place.

    Without uniforms, ``[streams, 0]``, the numbers are given, and pass through as if they had been drawn. The output
    is of a kind, and of so many parts: classes, or components. ``top_k`` and ``top_p`` are for classes; as many as
    there are, or more, and 1 leave all of them. ``fixed`` to ``skipped`` and ``filters`` and ``log_scales`` are what
    ``Told`` holds; ``surprises`` is the input table of the linear predictor, and the last three are what it remembers:
    each stream's past, newest first and twice, its window from ``cursor`` on, and what was expected of the newest.
    """
    streams, samples = numbers.shape
    layers = len(dilations)
    r, h, s, c = widths[0], widths[1], widths[2], widths[3]
    x = room(streams * r)
    seen = room(streams * taps * r)
    z = room(streams * 2 * h)
    gated = room(streams * layers * h)
    a = room(streams * s)
    b = room(streams * s)
    said = room(streams * c)
    masses = room(c)
    ranks = np.empty(parts, np.int64)
    mixed = np.zeros((parts, 3))
    given = uniforms.shape[1] == 0
    start = np.int64(0)  # a literal 0 would be another type, and another seconds of compiling
    skip, hidden, output = 2 * layers, 2 * layers + 1, 2 * layers + 2
    hop, stride = kernel.shape[1], layers * 2 * h
    order = filters.shape[2]
    for t in range(samples):
        for i in range(streams):
            look_up(x, i * r, embedding, levels[newest[i]], r)
            if order > 0:
                level = surprise(value_of(newest[i]), expected[i, 0], expected[i, 1])
                look_up(seen, start, surprises, level, r)
                add(x, i * r, x, i * r, seen, 0, r)
        for layer in range(layers):
            history, place = (taps - 1) * dilations[layer], places[layer]
            for tap in range(taps - 1):
                past = starts[layer] + (place + tap * dilations[layer]) % history * streams * r
                for i in range(streams):
                    copy(seen, (i * taps + tap) * r, rings, past + i * r, rings, 0, r)
            for i in range(streams):
                copy(seen, (i * taps + taps - 1) * r, x, i * r, x, 0, r)
            if history > 0:
                copy(rings, starts[layer] + place * streams * r, x, 0, x, 0, streams * r)
                places[layer] = (place + 1) % history
            at = 2 * layer
            affine(
                z, 2 * h, seen, start, taps * r, weights, offsets[at],
                biases, scales, bias_offsets[at], taps * r, 2 * h, streams,
            )  # fmt: skip
            for i in range(streams):
                if len(fixed) > 0:
                    share = i * stride + layer * 2 * h
                    for j in range(2 * h):
                        z[i * 2 * h + j] += fixed[share + j]
                if hop > 0:
                    frame, phase = divmod(skipped[i] + t, hop)
                    tell(z, i * 2 * h, frames, (frame * streams + i) * stride + layer * 2 * h, streams * stride,
                         kernel[0, phase], kernel[1, phase], 2 * h)  # fmt: skip
                gate(gated, (i * layers + layer) * h, z, i * 2 * h, z, i * 2 * h + h, h)
            if layer < layers - 1:
                affine(
                    seen, r, gated, layer * h, layers * h, weights, offsets[at + 1],
                    biases, scales, bias_offsets[at + 1], h, r, streams,
                )  # fmt: skip
                add(x, 0, x, 0, seen, 0, streams * r)
        if order > 0:
            for i in range(streams):
                frame, phase = divmod(skipped[i] + t, hop)
                later = np.float32(phase) / np.float32(hop)
                expect(expected, i, filters, log_scales, frame, later, heard, cursor[0], order)
        if given:
            newest[:] = numbers[:, t]
            remember(heard, cursor, newest, order)
            continue
        affine(
            a, s, gated, start, layers * h, weights, offsets[skip],
            biases, scales, bias_offsets[skip], layers * h, s, streams,
        )  # fmt: skip
        relu(a, 0, a, 0, a, 0, streams * s)
        affine(b, s, a, start, s, weights, offsets[hidden], biases, scales, bias_offsets[hidden], s, s, streams)
        relu(b, 0, b, 0, b, 0, streams * s)
        affine(said, c, b, start, s, weights, offsets[output], biases, scales, bias_offsets[output], s, c, streams)
        for i in range(streams):
            if order > 0:
                move(said, i * c, parts, expected[i, 0], expected[i, 1])
            if kind == CATEGORICAL:
                newest[i] = choose(said, i * c, parts, uniforms[i, t], temperature, top_k, top_p, masses, ranks)
            else:
                newest[i] = choose_mixed(said, i * c, parts, uniforms[i, t], temperature, kind, mixed)
            numbers[i, t] = newest[i]
        remember(heard, cursor, newest, order)


@compiled
def tell(z, at, frames, frame, next_frame, earlier, later, width):
    """Add a frame and the one after it, weighted."""
    for j in range(width):
        z[at + j] += earlier * frames[frame + j] + later * frames[frame + next_frame + j]


@compiled
def look_up(x, at, embedding, level, width):
    """A row of the input table, or a place between two rows."""
    row = np.int64(level)
    between = level - np.float32(row)
    copy(x, at, embedding, row * width, embedding, 0, width)
    if between > 0:
        for j in range(width):
            x[at + j] += between * (embedding[(row + 1) * width + j] - x[at + j])
