"""Networks small enough for exact checks."""

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
