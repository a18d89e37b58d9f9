"""Bits per sample: how many bits the model needs, on average, to say what the next sample is. Lower is better."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from wavenet.data.excerpts import batch_of, evenly
from wavenet.data.tracks import Track
from wavenet.model import WaveNet


@dataclass(frozen=True)
class Bits:
    """Mean bits per sample and over how many samples."""

    bits: float
    samples: int


def bits_per_sample(
    model: WaveNet,
    tracks: Sequence[Track],
    *,
    targets: int = 8192,
    batch: int = 2,
    most: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Bits:
    """Score tracks end to end, each sample once and in float32; ``most`` limits the number of excerpts.

    Every prediction sees its whole receptive field, with silence before a track begins. Batches keep one shape
    (the last is filled up with excerpts of weight 0), since oneDNN prepares its kernels shape by shape.
    """
    places = evenly(tracks, targets, most)
    total, samples = 0.0, 0
    for at in range(0, len(places), batch):
        group = places[at : at + batch]
        filled = batch_of([*group, *group[:1] * (batch - len(group))], model.receptive_field, targets)
        filled.weight[len(group) :] = 0
        wave, weight = filled.to(model.device)
        with torch.inference_mode():
            total += float((model.nll(wave).double() * weight).sum())
        samples += int(weight.sum())
        if progress:
            progress(min(at + batch, len(places)), len(places))
    return Bits(total / samples / math.log(2), samples)
