"""What the compiled sampler is told, block by block: every layer's share of a condition, ready to be added.

Frames are projected at their own rate; bringing them to the sample rate commutes with that, so machine code adds two
weighted rows a layer and sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wavenet.conditioning import Condition
from wavenet.model import WaveNet


@dataclass(frozen=True)
class Told:
    """For a stretch of samples of some streams; arrays of no size where there is nothing to tell."""

    fixed: np.ndarray
    """``[streams, layers · filter and gate]``, flat: the label's share."""
    frames: np.ndarray
    """``[f, streams, layers · filter and gate]``, flat."""
    kernel: np.ndarray
    """``[2, hop]``: how much of a frame, and of the next one, a sample takes."""
    skipped: np.ndarray
    """``[streams]``: how many samples into the frames each begins."""


NOTHING = Told(np.empty(0, np.float32), np.empty(0, np.float32), np.empty((2, 0), np.float32), np.empty(0, np.int64))


class Teller:
    """Says what is told of the next samples, again and again, from ``time`` on; ``half`` is that of a padded gate."""

    def __init__(self, model: WaveNet, condition: Condition, time: int, half: int):
        self.conditioning, self.condition, self.time = model.conditioning, condition, time
        self.fixed = self.weight = None
        if self.conditioning is None:
            return
        gate = model.config.gate_channels
        rows = torch.stack([block.condition.weight[..., 0] for block in model.blocks]).float()
        padded = rows.new_zeros(len(rows), 2, half, rows.shape[2])
        padded[:, :, : gate // 2] = rows.unflatten(1, (2, gate // 2))
        weight, label = padded.flatten(0, 2), self.conditioning.label
        width = 0 if label is None else label.embedding_dim
        self.weight = weight[:, width:].t().contiguous()
        if label is not None:
            self.fixed = label(condition.label).float() @ weight[:, :width].t()

    def next(self, samples: int, shares: list[np.ndarray]) -> list[Told]:
        """For the next samples of each share of the streams."""
        start, self.time = self.time, self.time + samples
        if self.conditioning is None:
            return [NOTHING] * len(shares)
        frames, kernel, skipped = None, NOTHING.kernel, None
        if self.conditioning.frames:
            encoded, begun = self.conditioning.encoded(self.condition, start, samples)
            frames, skipped = encoded.float() @ self.weight, np.array(begun, np.int64)
            kernel = self.conditioning.kernel.float().contiguous().numpy()
        return [
            Told(
                _flat(None if self.fixed is None else self.fixed[share]),
                _flat(None if frames is None else frames[:, share]),
                kernel,
                NOTHING.skipped if skipped is None else skipped[share],
            )
            for share in shares
        ]


def _flat(values: Tensor | None) -> np.ndarray:
    return NOTHING.fixed if values is None else np.ascontiguousarray(values.numpy()).ravel()
