"""The loop of the compiled sampler: samples of a few streams, one after the other, in machine code made by numba.

Weights are one flat array in the order of their use, so that the processor streams through it: every block's dilated
product and residual, then skip, hidden and output layer. ``wavenet.sampler.vectors`` has the arithmetic.
"""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numba
import numpy as np

from wavenet.sampler import vectors
from wavenet.sampler.vectors import LANES, add, copy, elementwise, exp, gate, product, relu

_one, _two, _four, _eight = product(1), product(2), product(4), product(8)
_exp = elementwise(lambda a, _: exp(a))

# numba asks only this file whether its cache is fresh; with the sources in the name, a change in either is a new name.
STAMP = sha256(Path(__file__).read_bytes() + Path(vectors.__file__).read_bytes()).hexdigest()[:12]


def compiled(function: Callable) -> Callable:
    """Machine code, kept for the next process where there is a place to keep it."""
    function.__qualname__ += f"_{STAMP}"
    settings = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp", "reassoc"}}
    try:
        return numba.njit(cache=True, **settings)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written to
        return numba.njit(**settings)(function)


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
    codes, newest, uniforms, temperature, rings, starts, places, dilations, taps, classes, widths,
    embedding, weights, offsets, biases, scales, bias_offsets,
):  # fmt: skip
    """Draw ``codes [streams, n]`` from ``uniforms [streams, n]``; rings, places and newest move on in place.

    Without uniforms, ``[streams, 0]``, the codes are given, and pass through as if they had been drawn.
    """
    streams, samples = codes.shape
    layers = len(dilations)
    r, h, s, c = widths[0], widths[1], widths[2], widths[3]
    x = np.zeros(streams * r, np.float32)
    seen = np.zeros(streams * taps * r, np.float32)
    z = np.zeros(streams * 2 * h, np.float32)
    gated = np.zeros(streams * layers * h, np.float32)
    a = np.zeros(streams * s, np.float32)
    b = np.zeros(streams * s, np.float32)
    logits = np.zeros(streams * c, np.float32)
    masses = np.zeros(c, np.float32)
    given = uniforms.shape[1] == 0
    start = np.int64(0)  # a literal 0 would be another type, and another seconds of compiling
    skip, hidden, output = 2 * layers, 2 * layers + 1, 2 * layers + 2
    for t in range(samples):
        for i in range(streams):
            copy(x, i * r, embedding, newest[i] * r, embedding, 0, r)
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
                gate(gated, (i * layers + layer) * h, z, i * 2 * h, z, i * 2 * h + h, h)
            if layer < layers - 1:
                affine(
                    seen, r, gated, layer * h, layers * h, weights, offsets[at + 1],
                    biases, scales, bias_offsets[at + 1], h, r, streams,
                )  # fmt: skip
                add(x, 0, x, 0, seen, 0, streams * r)
        if given:
            newest[:] = codes[:, t]
            continue
        affine(
            a, s, gated, start, layers * h, weights, offsets[skip],
            biases, scales, bias_offsets[skip], layers * h, s, streams,
        )  # fmt: skip
        relu(a, 0, a, 0, a, 0, streams * s)
        affine(b, s, a, start, s, weights, offsets[hidden], biases, scales, bias_offsets[hidden], s, s, streams)
        relu(b, 0, b, 0, b, 0, streams * s)
        affine(logits, c, b, start, s, weights, offsets[output], biases, scales, bias_offsets[output], s, c, streams)
        for i in range(streams):
            newest[i] = choose(logits, i * c, classes, uniforms[i, t], temperature, masses)
            codes[i, t] = newest[i]


@compiled
def choose(logits, at, classes, uniform, temperature, masses):
    """Where the cumulative probability passes ``uniform``; the likeliest at temperature 0.

    Sums run in float64, in blocks, so that only one block is searched.
    """
    best = logits[at]
    for j in range(classes):
        best = max(best, logits[at + j])
    if temperature == 0:
        for j in range(classes):
            if logits[at + j] == best:
                return j
    for j in range(classes):
        masses[j] = max((np.float64(logits[at + j]) - np.float64(best)) / temperature, -87.0)
    _exp(masses, 0, masses, 0, masses, 0, len(masses))
    total = 0.0
    for j in range(classes):
        total += masses[j]
    goal, passed = uniform * total, 0.0
    for block in range(0, classes, LANES):
        end = min(block + LANES, classes)
        mass = 0.0
        for j in range(block, end):
            mass += masses[j]
        if passed + mass > goal:
            for j in range(block, end):
                passed += masses[j]
                if passed > goal:
                    return j
            return end - 1
        passed += mass
    return classes - 1
