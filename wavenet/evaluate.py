"""Bits per sample: how many bits the model needs, on average, to say what the next sample is. Lower is better.

They depend on what a sample is, so they are counted three times: as the model was trained, and on the two scales on
which any two models can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

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


def bits_per_sample(model: WaveNet, tracks: Sequence[Track], **settings: Any) -> Bits:
    """Over all tracks; settings as for ``bits_by_group``."""
    return bits_by_group(model, tracks, [""] * len(tracks), **settings)[""]


def bits_by_group(
    model: WaveNet,
    tracks: Sequence[Track],
    groups: Sequence[str],
    *,
    targets: int = 8192,
    batch: int = 2,
    most: int | None = None,
    conditions: Conditions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Bits]:
    """Score tracks end to end, each sample once and in float32, by the group (a speaker) that each belongs to.

    ``most`` limits the number of excerpts; groups of which it leaves nothing are left out. Every prediction sees its
    whole receptive field, with silence before a track begins, and what ``conditions`` say of the track. Batches keep
    one shape (the last is filled up with excerpts of weight 0), since oneDNN prepares its kernels shape by shape.
    """
    group_of = dict(zip(map(id, tracks), groups, strict=True))
    places = evenly(tracks, targets, most)
    output = model.config.output
    nats = {group: torch.zeros(3, dtype=torch.float64) for group in sorted(set(groups))}
    samples = dict.fromkeys(nats, 0)
    for at in range(0, len(places), batch):
        found = places[at : at + batch]
        filled = batch_of([*found, *found[:1] * (batch - len(found))], model.receptive_field, targets, conditions)
        filled.weight[len(found) :] = 0
        wave, weight, told = filled.to(model.device)
        with torch.inference_mode():
            said = model.predictions(wave, told)
            each = torch.stack([output.nll(*said), nats_16(output, *said), nats_mu_law(output, *said)])
            sums = (each.double() * weight.t()).sum(1).t().cpu()
        for (track, _), row, count in zip(found, sums, weight.sum(1).tolist(), strict=False):
            nats[group_of[id(track)]] += row
            samples[group_of[id(track)]] += int(count)
        if progress:
            progress(min(at + batch, len(places)), len(places))
    return {
        group: Bits(*(nats[group] / count / math.log(2)).tolist(), count) for group, count in samples.items() if count
    }


def pooled(parts: Iterable[Bits]) -> Bits:
    """The bits of several groups together, each sample counted once.

    >>> pooled([Bits(4.0, 6.0, 4.0, samples=100), Bits(2.0, 5.0, 2.0, samples=300)])
    Bits(bits=2.5, bits_16=5.25, bits_mu_law=2.5, samples=400)
    """
    parts = list(parts)
    samples = sum(part.samples for part in parts)
    names = ("bits", "bits_16", "bits_mu_law")
    return Bits(*(sum(getattr(part, name) * part.samples for part in parts) / samples for name in names), samples)
