"""How finely weights are told apart while sampling. A precision is a property of the model, not of an engine.

``float32`` is the model as it was trained. ``bfloat16`` rounds each matrix to 8 significant bits, ``int8`` to 255
steps an output, so that an engine may read half or a quarter of the bytes; sums, biases and the input table stay
float32. Every engine runs the rounded model, so the reference says what is right for it too.
"""

import copy

import torch
from torch import Tensor, nn

from wavenet.model import WaveNet

PRECISIONS = ("float32", "bfloat16", "int8")


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
                weight = layer.weight
                if precision == "bfloat16":
                    weight.copy_(weight.bfloat16())
                else:
                    step = step_of(weight.flatten(1), 1)[..., None]
                    weight.copy_((weight / step).round() * step)
    return model


def step_of(matrix: Tensor, inputs: int) -> Tensor:
    """The step of int8: the largest number of each output is 127 steps. ``inputs`` is their axis, which is kept.

    Steps have 16 significant bits, so that multiples of them are exact in float32, and the step of a rounded matrix
    is the step it was rounded with.
    """
    largest = matrix.abs().amax(inputs, keepdim=True)
    mantissa, exponent = torch.frexp(largest / 127)
    step = torch.ldexp((mantissa * 65_536).round() / 65_536, exponent)
    return torch.where(step > 0, step, 1.0)
