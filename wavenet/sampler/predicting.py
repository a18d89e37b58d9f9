"""The linear predictor's filters as sound grows: those of a stretch of samples."""

from __future__ import annotations

import torch
from torch import Tensor

from wavenet.conditioning import Condition, spanned
from wavenet.linear_prediction import Filters, filters
from wavenet.mel import Mel
from wavenet.sampler.runs import RUN, Runs


class Predicting:
    """The filters of ``streams`` sounds told ``condition``, whose time only goes on."""

    def __init__(self, mel: Mel, condition: Condition, streams: int):
        self.mel, self.condition = mel, condition.expand(streams)
        self.runs = [Runs(lambda first, stream=stream: self._run(stream, first)) for stream in range(streams)]

    def stretch(self, start: int, samples: int) -> tuple[Filters, list[int]]:
        """Filters ``[streams, f, …]`` around those samples, and how many behind the first one each sound starts."""
        hop, count = self.mel.hop, spanned(self.mel.hop, samples)
        places = self.condition.places(start)
        rows = torch.stack([runs.rows(at // hop, count) for runs, at in zip(self.runs, places, strict=True)])
        return Filters(rows[..., :-1], rows[..., -1]), [at % hop for at in places]

    def _run(self, stream: int, first: int) -> Tensor:
        """``[RUN, order + 1]``: coefficients, and the log scale."""
        frames = self.condition.frames
        seen = torch.arange(first, first + RUN).clamp(0, frames.shape[2] - 1)
        found = filters(self.mel, frames[stream : stream + 1, :, seen])
        return torch.cat([found.coefficients[0], found.log_scales[0, :, None]], dim=1)


class Expectation:
    """What is expected of the next sample, step by step, for the cached engine."""

    def __init__(self, mel: Mel, condition: Condition, past: Tensor):
        """``past [b, order]`` has been heard."""
        self.predicting = Predicting(mel, condition, len(past))
        self.hop, self.past = mel.hop, past.flip(1)

    def begin(self, start: int, samples: int) -> None:
        """Time is at ``start``, and so many samples will follow."""
        self.found, self.skipped = self.predicting.stretch(start, samples)
        self.at = 0

    def next(self) -> Tensor:
        """Of the next sample: ``[b, 2]``, mean and log scale."""
        rows, places = range(len(self.skipped)), [before + self.at for before in self.skipped]
        frames = [place // self.hop for place in places]
        later = torch.tensor([place % self.hop / self.hop for place in places], device=self.past.device)
        (a, b), (low, high) = ((each[rows, frames], each[rows, [at + 1 for at in frames]]) for each in self.found)
        mean = torch.lerp((a * self.past).sum(1), (b * self.past).sum(1), later)
        return torch.stack([mean, torch.lerp(low, high, later)], dim=1)

    def heard(self, wave: Tensor) -> None:
        """Go on behind ``wave [b]``."""
        self.past = torch.cat([wave[:, None], self.past[:, :-1]], dim=1)
        self.at += 1
