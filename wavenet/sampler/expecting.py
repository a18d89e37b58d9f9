"""The linear predictor in machine code, one sample of one stream at a time (``wavenet.linear_prediction``)."""

from __future__ import annotations

import math

import numpy as np

from wavenet.distributions.grid import HALF
from wavenet.distributions.mixture import LEVELS, MEAN_UNIT
from wavenet.linear_prediction import WIDEST
from wavenet.sampler.machine_code import compiled


@compiled
def value_of(number):
    """``grid.value_of``."""
    return np.float32((number - HALF) / HALF)


@compiled
def surprise(value, mean, log_scale):
    """``linear_prediction.surprise``."""
    off = np.float64(value - mean) * math.exp(-log_scale) / WIDEST
    size = math.log1p((LEVELS - 1) * min(abs(off), 1.0)) / math.log1p(LEVELS - 1.0)
    return np.float32(((size if off > 0 else -size) + 1) / 2 * (LEVELS - 1))


@compiled
def expect(expected, stream, filters, log_scales, frame, later, heard, cursor, order):
    """``linear_prediction.predicted`` of one sample, between two frames."""
    near, far = np.float32(0), np.float32(0)
    for k in range(order):
        near += filters[frame, stream, k] * heard[stream, cursor + k]
        far += filters[frame + 1, stream, k] * heard[stream, cursor + k]
    expected[stream, 0] = near + later * (far - near)
    low, high = log_scales[frame, stream], log_scales[frame + 1, stream]
    expected[stream, 1] = low + later * (high - low)


@compiled
def remember(heard, cursor, newest, order):
    """Let every stream's newest sample become the past."""
    if order > 0:
        cursor[0] = (cursor[0] + order - 1) % order
        for i in range(len(newest)):
            value = value_of(newest[i])
            heard[i, cursor[0]] = value
            heard[i, cursor[0] + order] = value


@compiled
def move(said, at, parts, mean, log_scale):
    """``Mixture.around``."""
    means, scale = at + (parts if parts > 1 else 0), np.float32(math.exp(log_scale))
    for j in range(parts):
        said[means + j] = (mean + scale * said[means + j]) / np.float32(MEAN_UNIT)
        said[means + parts + j] += log_scale
