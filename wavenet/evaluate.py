"""Bits per sample: how many bits the model needs, on average, to say what the next sample is. Lower is better.

They depend on what a sample is, so they are counted three times: as the model was trained, and on the two scales on
which any two models can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from wavenet.data.conditions import Conditions
from wavenet.data.excerpts import batch_of, evenly
from wavenet.data.tracks import Track
from wavenet.distributions.scales import nats_16, nats_mu_law
from wavenet.model import WaveNet


@dataclass(frozen=True)
class Bits:
    """Means over so many samples, in bits per sample."""

    bits: float
    """As the model was trained: of ``output.scale``."""
    bits_16: float
    """Of 16-bit samples."""
    bits_mu_law: float
    """Of mu-law codes of 256."""
    samples: int


def bits_per_sample(
    model: WaveNet,
    tracks: Sequence[Track],
    *,
    targets: int = 8192,
    batch: int = 2,
    most: int | None = None,
    conditions: Conditions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Bits:
    """Score tracks end to end, each sample once and in float32; ``most`` limits the number of excerpts.

    Every prediction sees its whole receptive field, with silence before a track begins, and what ``conditions`` say of
    the track. Batches keep one shape
    (the last is filled up with excerpts of weight 0), since oneDNN prepares its kernels shape by shape.
    """
    places = evenly(tracks, targets, most)
    output = model.config.output
    total, samples = torch.zeros(3, dtype=torch.float64), 0
    for at in range(0, len(places), batch):
        group = places[at : at + batch]
        filled = batch_of([*group, *group[:1] * (batch - len(group))], model.receptive_field, targets, conditions)
        filled.weight[len(group) :] = 0
        wave, weight, told = filled.to(model.device)
        with torch.inference_mode():
            said = model.predictions(wave, told)
            nats = torch.stack([output.nll(*said), nats_16(output, *said), nats_mu_law(output, *said)])
            total += (nats.double() * weight.t()).sum((1, 2)).cpu()
        samples += int(weight.sum())
        if progress:
            progress(min(at + batch, len(places)), len(places))
    return Bits(*(total / samples / math.log(2)).tolist(), samples)
