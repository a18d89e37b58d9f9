"""The loop of the compiled sampler: samples of a few streams, one after the other, in machine code made by numba.

Weights are one flat array in the order of their use, so that the processor streams through it: every block's dilated
product and residual, then skip, hidden and output layer. ``wavenet.sampler.vectors`` has the arithmetic. Samples are
the numbers of the values that the output distribution can produce.
"""

import math
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numba
import numpy as np

from wavenet.distributions import grid, mixture
from wavenet.distributions.grid import HALF
from wavenet.distributions.mixture import FLOOR, LEAST, MEAN_UNIT
from wavenet.sampler import vectors
from wavenet.sampler.vectors import LANES, add, copy, elementwise, exp, gate, product, relu

_one, _two, _four, _eight = product(1), product(2), product(4), product(8)
_exp = elementwise(lambda a, _: exp(a))

CATEGORICAL, LOGISTIC, GAUSSIAN = 0, 1, 2
HALF_ROOT = math.sqrt(0.5)

# numba asks only this file whether its cache is fresh; with the sources in the name, a change in any is a new name.
SOURCES = (__file__, vectors.__file__, mixture.__file__, grid.__file__)
STAMP = sha256(b"".join(Path(source).read_bytes() for source in SOURCES)).hexdigest()[:12]


def compiled(function: Callable) -> Callable:
    """Machine code, kept for the next process where there is a place to keep it."""
    function.__qualname__ += f"_{STAMP}"
    settings = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp", "reassoc"}}
    try:
        return numba.njit(cache=True, **settings)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written to
        return numba.njit(**settings)(function)


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
    numbers, newest, uniforms, temperature, rings, starts, places, dilations, taps, kind, parts, widths,
    levels, embedding, weights, offsets, biases, scales, bias_offsets, fixed, frames, kernel, skipped,
):  # fmt: skip
    """Draw ``numbers [streams, n]`` from ``uniforms [streams, n]``; rings, places and newest move on in place.

    Without uniforms, ``[streams, 0]``, the numbers are given, and pass through as if they had been drawn. The output
    is of a kind, and of so many parts: classes, or components. The last four are what ``Told`` holds.
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
    mixed = np.zeros((parts, 3))
    given = uniforms.shape[1] == 0
    start = np.int64(0)  # a literal 0 would be another type, and another seconds of compiling
    skip, hidden, output = 2 * layers, 2 * layers + 1, 2 * layers + 2
    hop, stride = kernel.shape[1], layers * 2 * h
    for t in range(samples):
        for i in range(streams):
            look_up(x, i * r, embedding, levels[newest[i]], r)
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
        if given:
            newest[:] = numbers[:, t]
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
            if kind == CATEGORICAL:
                newest[i] = choose(said, i * c, parts, uniforms[i, t], temperature, masses)
            else:
                newest[i] = choose_mixed(said, i * c, parts, uniforms[i, t], temperature, kind, mixed)
            numbers[i, t] = newest[i]


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


@compiled
def choose_mixed(said, at, parts, uniform, temperature, kind, mixed):
    """``Mixture.sample``, as the number of the value. One component alone has no weight; any number serves as such."""
    means = at + (parts if parts > 1 else 0)
    best = 0
    for j in range(parts):
        best = j if said[at + j] > said[at + best] else best
    if temperature == 0:
        steps = math.floor(np.float64(said[means + best]) * MEAN_UNIT * HALF + 0.5)
        return np.int64(max(-HALF, min(steps, HALF - 1.0))) + HALF
    total = 0.0
    for j in range(parts):
        mixed[j, 0] = math.exp((np.float64(said[at + j]) - np.float64(said[at + best])) / temperature)
        mixed[j, 1] = said[means + j] * MEAN_UNIT
        above = said[means + parts + j] - FLOOR
        softplus = above if above > 20 else math.log1p(math.exp(above))
        mixed[j, 2] = math.exp(-FLOOR - softplus) / temperature
        total += mixed[j, 0]
    goal = min(max(uniform, LEAST), 1 - LEAST) * total
    low, high = np.int64(0), np.int64(2 * HALF - 1)
    while low < high:
        middle = (low + high) // 2
        edge = (middle + 0.5) / HALF - 1  # above the middle value
        below = 0.0
        for j in range(parts):
            z = (edge - mixed[j, 1]) * mixed[j, 2]
            below += mixed[j, 0] * (1 / (1 + math.exp(-z)) if kind == LOGISTIC else math.erfc(-z * HALF_ROOT) / 2)
        if below > goal:
            high = middle
        else:
            low = middle + 1
    return low
