"""Which stretches of which tracks a training step sees: a pure function of (seed, step).

So the data's position in a run is one integer, resuming needs nothing else, and nothing depends on how batches
are fetched. Each epoch covers every track evenly: a track gets as many excerpts as it has room for, spread over
its length with one random shift, and all excerpts are shuffled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from shared.training.processes import ALONE, Team
from wavenet.conditioning import Condition
from wavenet.data.conditions import Conditions
from wavenet.data.tracks import Track


class Batch(NamedTuple):
    """``wave [b, context + targets]`` and ``weight [b, targets]``: 1 where a target is real, 0 past the end."""

    wave: Tensor
    weight: Tensor
    condition: Condition = Condition()

    def to(self, device: torch.device) -> Batch:
        """All of it on a device."""
        return Batch(self.wave.to(device), self.weight.to(device), self.condition.to(device))


class Excerpts:
    """Batches of excerpts: ``excerpts.batch(step)``; ``excerpts.step`` where steps are of several, or processes are.

    Each holds ``targets`` samples to predict behind ``context`` samples to look at. Before a track begins there
    is silence; past its end the weight is 0.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        context: int,
        targets: int,
        batch: int,
        seed: int,
        conditions: Conditions | None = None,
    ):
        self.tracks, self.context, self.targets, self.size, self.seed = tracks, context, targets, batch, seed
        self.conditions = conditions
        self.counts = np.array([max(1, round(track.samples / targets)) for track in tracks])
        self.per_epoch = int(self.counts.sum())
        self._epoch = lru_cache(maxsize=2)(self._plan)

    def batch(self, step: int) -> Batch:
        """The batch of step ``step``, counting from 0."""
        return next(self.step(step))

    def step(self, step: int, batches: int = 1, team: Team = ALONE) -> Iterator[Batch]:
        """The share of one of a team in step ``step``, which takes so many batches; the last of them may be empty."""
        first, share = step * batches * self.size, team.share(batches * self.size)
        for at in range(batches):
            items = share[at * self.size : (at + 1) * self.size]
            places = [self._place(first + item) for item in items]
            yield batch_of(places, self.context, self.targets, self.conditions if places else None)

    def names(self, step: int, batches: int = 1) -> list[str]:
        """The tracks that step ``step`` sees, which takes so many batches; all processes' together."""
        count = batches * self.size
        return [self._place(item)[0].name for item in range(step * count, (step + 1) * count)]

    def _place(self, item: int) -> tuple[Track, int]:
        epoch, at = divmod(item, self.per_epoch)
        track, start = self._epoch(epoch)[at]
        return self.tracks[track], int(start)

    def _plan(self, epoch: int) -> np.ndarray:
        random = np.random.default_rng([self.seed, epoch])
        places = []
        for at, (track, count) in enumerate(zip(self.tracks, self.counts, strict=True)):
            room = max(0, track.samples - self.targets)
            starts = ((np.arange(count) + random.random()) / count * (room + 1)).astype(np.int64)
            places.append(np.stack([np.full(count, at), starts], axis=1))
        return random.permutation(np.concatenate(places))


def batch_of(
    places: Sequence[tuple[Track, int]], context: int, targets: int, conditions: Conditions | None = None
) -> Batch:
    """Read excerpts whose targets begin at the given places, and what they are told."""
    wave = np.zeros((len(places), context + targets), np.float32)
    weight = np.zeros((len(places), targets), np.float32)
    for row, (track, start) in enumerate(places):
        begin = max(0, start - context)
        sound = track.read(begin, min(track.samples, start + targets) - begin)
        first = context - (start - begin)
        wave[row, first : first + len(sound)] = sound
        weight[row, : first + len(sound) - context] = 1
    told = conditions.of(places, context, targets) if conditions else Condition()
    return Batch(torch.from_numpy(wave), torch.from_numpy(weight), told)


def evenly(tracks: Sequence[Track], targets: int, most: int | None = None) -> list[tuple[Track, int]]:
    """Places that cover all tracks end to end, each sample once; at most ``most``, spread over them all."""
    places = [(track, start) for track in tracks for start in range(0, track.samples, targets)]
    if most is None or len(places) <= most:
        return places
    return [places[int(at)] for at in np.linspace(0, len(places) - 1, most)]
