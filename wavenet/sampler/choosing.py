"""Which value a uniform number draws, in machine code: ``sample`` of the distributions, one sample at a time."""

from __future__ import annotations

import math

import numpy as np

from wavenet.distributions.grid import HALF
from wavenet.distributions.mixture import FLOOR, LEAST, MEAN_UNIT
from wavenet.sampler.machine_code import compiled
from wavenet.sampler.vectors import LANES, elementwise, exp

CATEGORICAL, LOGISTIC, GAUSSIAN = 0, 1, 2
HALF_ROOT = math.sqrt(0.5)

_exp = elementwise(lambda a, _: exp(a))


@compiled
def choose(logits, at, classes, uniform, temperature, top_k, top_p, masses, ranks):
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
    if top_k < classes or top_p < 1:
        restrict(logits, at, classes, top_k, top_p, masses, ranks)
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
            return last_of(masses, end)  # the block's sum, in another order, said otherwise by its last bits
        passed += mass
    return last_of(masses, classes)


@compiled
def last_of(masses, end):
    """The last class before ``end`` that has a mass, or the very first."""
    while end > 1 and masses[end - 1] == 0:
        end -= 1
    return end - 1


@compiled
def restrict(logits, at, classes, top_k, top_p, masses, ranks):
    """Take the masses of all classes but those that ``wavenet.distributions.drawing.kept`` keeps."""
    bits = logits[at : at + classes].view(np.int32)
    for j in range(classes):  # whole numbers in the order of the floats; both zeros are 0
        bit = np.int64(bits[j])
        ranks[j] = bit if bit >= 0 else -(bit + 2**31)
    if top_k < classes:
        cut(ranks, classes, masses, True, np.float64(top_k))
    if top_p < 1:
        total = 0.0
        for j in range(classes):
            total += masses[j]
        cut(ranks, classes, masses, False, top_p * total)


@compiled
def cut(ranks, classes, masses, each_is_one, goal):
    """Keep the fewest classes, from the highest rank down, that weigh ``goal``: each its mass, or one.

    Bisection finds the rank of the last, in some ten passes that need no order; at most one a bit.
    """
    low, high = ranks[0], ranks[0]
    for j in range(classes):
        low, high = min(low, ranks[j]), max(high, ranks[j])
    high += 1
    from_low, from_high, above = classes, 0, 0.0  # how many classes there are, and what those from high on weigh
    while from_low - from_high > 1 and high - low > 1:
        middle = (low + high) >> 1
        weight, count = 0.0, 0
        for j in range(classes):
            if ranks[j] >= middle:
                weight += masses[j]
                count += 1
        weight = np.float64(count) if each_is_one else weight
        if weight >= goal:
            low, from_low = middle, count
        else:
            high, from_high, above = middle, count, weight
    for j in range(classes):
        if ranks[j] < low:
            masses[j] = 0
        elif ranks[j] < high:  # one class, or several that are equally likely: the lower ones first
            mass = masses[j]
            if above >= goal:
                masses[j] = 0
            above += 1.0 if each_is_one else np.float64(mass)


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
