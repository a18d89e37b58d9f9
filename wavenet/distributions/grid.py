"""The 16-bit grid: the 65,536 values n / 32768, n from −32768 to 32767, which are what WAV files hold.

They are numbered from 0 up. 1.0 is not among them: it is clipped to 32767 / 32768.
"""

from __future__ import annotations

import torch
from torch import Tensor

VALUES = 65_536
HALF = VALUES // 2
"""Steps from 0 to 1, and the number of the value 0."""


def number_of(wave: Tensor) -> Tensor:
    """Floats to the number of the nearest value, int64 of the same shape; what lies outside is clipped.

    >>> number_of(torch.tensor([-1.5, 0.0, 1.0])).tolist()
    [0, 32768, 65535]
    """
    return (torch.floor(wave * HALF + 0.5).clamp(-HALF, HALF - 1) + HALF).to(torch.int64)


def value_of(number: Tensor) -> Tensor:
    """Numbers back to floats, exactly."""
    return (number - HALF).to(torch.float32) / HALF


def edge_below(number: Tensor) -> Tensor:
    """Where the cell of a value meets that of the value before it, float64; half a step below the value."""
    return (number - 0.5).double() / HALF - 1
