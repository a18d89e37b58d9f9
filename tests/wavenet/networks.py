"""Networks small enough for exact checks."""

from collections.abc import Iterator

import numpy as np
import torch

from wavenet.distributions import Categorical
from wavenet.model import WaveNet, WaveNetConfig


def small_network(**changes) -> WaveNet:
    """Weights are large enough that every path matters."""
    shape = {
        "dilations": (1, 2, 4, 1, 2),
        "residual_channels": 6,
        "gate_channels": 8,
        "skip_channels": 10,
        "output": Categorical(classes=16),
    }
    model = WaveNet(WaveNetConfig(**{**shape, **changes}))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.5)
    return model


def rings_of(sampler, model: WaveNet) -> Iterator[np.ndarray]:
    """What each block remembers, oldest first: ``[history, streams · channels]``."""
    if hasattr(sampler, "groups"):
        for group in sampler.groups:
            ends = [*group.starts[1:], len(group.rings)]
            for start, end, place, block in zip(group.starts, ends, group.places, model.blocks, strict=True):
                size = block.field.history * len(group.newest) * group.weights.widths[0]
                ring = group.rings[start:end][:size].reshape(block.field.history, -1)
                yield np.roll(ring, -place, axis=0)
    else:
        for ring in sampler.rings:
            yield np.stack([np.roll(torch.stack(ring.inputs).numpy(), -ring.at, axis=0)])
