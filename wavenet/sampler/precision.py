"""How finely weights are told apart while sampling. A precision is a property of the model, not of an engine.

``float32`` is the model as it was trained. ``bfloat16`` rounds each matrix to 8 significant bits, so that an engine
may read half the bytes; sums, biases and the input table stay float32. Every engine runs the rounded model, so the
reference says what is right for it too.
"""

import copy

import torch
from torch import nn

from wavenet.model import WaveNet

PRECISIONS = ("float32", "bfloat16")


def rounded(model: WaveNet, precision: str) -> WaveNet:
    """The model itself for ``float32``, or a copy with its matrices rounded to nearest."""
    if precision == "float32":
        return model
    if precision not in PRECISIONS:
        raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, not {precision!r}")
    model = copy.deepcopy(model)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Conv1d):
                layer.weight.copy_(layer.weight.bfloat16())
    return model
