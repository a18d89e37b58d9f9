"""Clips that differ in voice, in what they say and in length, drawn together: a weight that is read serves them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from wavenet.conditioning import Condition
from wavenet.model import WaveNet
from wavenet.sampler import generate


def generate_batch(
    model: WaveNet,
    samples: int | Sequence[int],
    *,
    seeds: Sequence[int],
    speakers: Sequence[str] | None = None,
    frames: Sequence[Tensor] | None = None,
    **choices: Any,
) -> list[Tensor]:
    """One clip a seed, each ``[prompt and samples]``; ``samples`` of new sound are as many for all, or a number each.

    ``speakers`` are names that the model knows, ``frames`` ``[channels, f]`` with an ``f`` of its own each, counted
    from the prompt's start; there is one of them a seed. Other choices are those of ``wavenet.sampler.stream``: among
    them one ``prompt`` for all, or one each of one length.

    >>> short, long = generate_batch(WaveNet(), [10, 30], seeds=[1, 2])
    >>> len(short), len(long)
    (10, 30)
    """
    lengths = [samples] * len(seeds) if isinstance(samples, int) else list(samples)
    for name, each in (("samples", lengths), ("speakers", speakers), ("frames", frames)):
        if each is not None and len(each) != len(seeds):
            raise ValueError(f"{len(each)} {name} for {len(seeds)} seeds; give one each")
    longest = max(lengths, default=0)
    waves = generate(model, longest, seeds=seeds, condition=condition_of(model, speakers, frames), **choices)
    return [wave[: wave.shape[0] - longest + length] for wave, length in zip(waves, lengths, strict=True)]


def condition_of(
    model: WaveNet, speakers: Sequence[str] | None = None, frames: Sequence[Tensor] | None = None
) -> Condition:
    """One condition for sounds of different lengths; the last frame of the shorter ones goes on.

    ValueError names a speaker that the model does not know.
    """
    label = together = None
    if speakers is not None:
        if not model.config.labels:
            raise ValueError(f"the model knows no speakers, so it has no voice of {speakers[0]!r}")
        label = torch.tensor([model.config.labels.index(name) for name in speakers])
    if frames is not None:
        longest = max(each.shape[-1] for each in frames)
        together = torch.stack([each[:, torch.arange(longest).clamp(max=each.shape[1] - 1)] for each in frames])
    return Condition(label, together)
