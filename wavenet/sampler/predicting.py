"""The linear predictor's filters as sound grows: those of a stretch of samples, computed a run of frames at a time.

Runs begin at the same frames whatever is asked for, and each stream has its own: the last bits of a matrix product
depend on its shape, and a stream must depend neither on its company nor on where it was gone on with.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wavenet.conditioning import Condition
from wavenet.linear_prediction import Filters, filters
from wavenet.mel import Mel

RUN = 32  # frames


class Predicting:
    """The filters of ``streams`` sounds told ``condition``, whose time only goes on."""

    def __init__(self, mel: Mel, condition: Condition, streams: int):
        self.mel = mel
        self.frames = condition.expand(streams).frames
        self.begin = condition.begin or (0,)
        self.runs: list[dict[int, Filters]] = [{} for _ in range(streams)]

    def stretch(self, start: int, samples: int) -> tuple[Filters, list[int]]:
        """Filters ``[streams, f, …]`` around those samples, and how many behind the first one each sound starts."""
        hop = self.mel.hop
        places = [start - self.begin[stream % len(self.begin)] for stream in range(len(self.runs))]
        count = (samples + hop - 2) // hop + 2
        found = [self._stretch(stream, place // hop, count) for stream, place in enumerate(places)]
        return Filters(*map(torch.cat, zip(*found, strict=True))), [place % hop for place in places]

    def _stretch(self, stream: int, first: int, count: int) -> Filters:
        kept, begin = self.runs[stream], first // RUN
        for number in range(begin, (first + count - 1) // RUN + 1):
            if number not in kept:
                seen = torch.arange(number * RUN, (number + 1) * RUN).clamp(0, self.frames.shape[2] - 1)
                kept[number] = filters(self.mel, self.frames[stream : stream + 1, :, seen])
        self.runs[stream] = {number: run for number, run in kept.items() if number >= begin}
        rows = slice(first - begin * RUN, first - begin * RUN + count)
        return Filters(*(torch.cat(each, dim=1)[:, rows] for each in zip(*self.runs[stream].values(), strict=True)))


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
