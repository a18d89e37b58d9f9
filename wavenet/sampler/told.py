"""What the compiled sampler is told, block by block: every layer's share of a condition, ready to be added.

Frames are projected at their own rate; bringing them to the sample rate commutes with that, so machine code adds two
weighted rows a layer and sample.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from wavenet.conditioning import Condition, spanned
from wavenet.model import WaveNet
from wavenet.sampler.predicting import Predicting
from wavenet.sampler.runs import RUN, Runs


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
    filters: np.ndarray
    """``[f, streams, order]``: of a linear predictor."""
    log_scales: np.ndarray
    """``[f, streams]``: and how far off it is."""


_NONE = np.empty(0, np.float32)
NOTHING = Told(
    fixed=_NONE, frames=_NONE, kernel=_NONE.reshape(2, 0), skipped=np.empty(0, np.int64),
    filters=_NONE.reshape(0, 0, 0), log_scales=_NONE.reshape(0, 0),
)  # fmt: skip


class Teller:
    """Says what is told of the next samples, again and again, from ``time`` on; ``half`` is that of a padded gate.

    ``condition`` has a row a stream.
    """

    def __init__(self, model: WaveNet, condition: Condition, streams: int, time: int, half: int):
        self.conditioning, self.time = model.conditioning, time
        if self.conditioning is None:
            return
        self.conditioning.check(condition)
        self.predicting = Predicting(model.config.frames, condition, streams) if model.config.predictor else None
        self.condition = condition
        gate = model.config.gate_channels
        rows = torch.stack([block.condition.weight[..., 0] for block in model.blocks]).float()
        padded = rows.new_zeros(len(rows), 2, half, rows.shape[2])
        padded[:, :, : gate // 2] = rows.unflatten(1, (2, gate // 2))
        weight, label = padded.flatten(0, 2), self.conditioning.label
        width = 0 if label is None else label.embedding_dim
        self.weight = weight[:, width:].t().contiguous()
        self.runs = [Runs(lambda first, stream=stream: self._projected(stream, first)) for stream in range(streams)]
        self.fixed = None
        if label is not None:
            of_label = weight[:, :width].t().contiguous()
            rows = [label(alone(condition, stream).label).float() @ of_label for stream in range(streams)]
            self.fixed = torch.cat(rows).numpy()

    def next(self, samples: int, shares: list[np.ndarray]) -> list[Told]:
        """For the next samples of each share of the streams."""
        start, self.time = self.time, self.time + samples
        if self.conditioning is None:
            return [NOTHING] * len(shares)
        told = [self._told(start, samples, share) for share in shares]
        if self.predicting is None:
            return told
        coefficients, scales = (each.transpose(0, 1).numpy() for each in self.predicting.stretch(start, samples)[0])
        return [
            replace(each, filters=coefficients[:, share].copy(), log_scales=scales[:, share].copy())
            for each, share in zip(told, shares, strict=True)
        ]

    def _told(self, start: int, samples: int, share: np.ndarray) -> Told:
        fixed = NOTHING.fixed if self.fixed is None else self.fixed[share].ravel()
        if not self.conditioning.frames:
            return replace(NOTHING, fixed=fixed)
        hop = self.conditioning.frames.hop
        places, count = [self.condition.places(start)[stream] for stream in share], spanned(hop, samples)
        frames = [self.runs[stream].rows(at // hop, count) for stream, at in zip(share, places, strict=True)]
        kernel = self.conditioning.kernel.float().contiguous().numpy()
        skipped = np.array([at % hop for at in places], np.int64)
        projected = torch.stack(frames, dim=1).numpy().ravel()
        return replace(NOTHING, fixed=fixed, frames=projected, kernel=kernel, skipped=skipped)

    def _projected(self, stream: int, first: int) -> Tensor:
        """A run of a stream's frames, ``[RUN, layers · filter and gate]``."""
        hop, given = self.conditioning.frames.hop, Condition(frames=self.condition.frames[stream : stream + 1])
        encoded, _ = self.conditioning.encoded(given, first * hop, (RUN - 1) * hop)
        return encoded[:RUN, 0].float() @ self.weight


def alone(condition: Condition, stream: int) -> Condition:
    """What one stream is told."""
    label, frames = (
        each if each is None else each[stream : stream + 1] for each in (condition.label, condition.frames)
    )
    return Condition(label, frames, condition.begin[stream : stream + 1])
