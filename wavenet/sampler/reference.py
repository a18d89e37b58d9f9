"""The definition of sampling: show the model everything so far, take its last word, draw, append, repeat.

Slow and obvious. The receptive field is recomputed for every sample.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from wavenet.model import WaveNet


def begin(model: WaveNet, prompt: Tensor, streams: int, temperature: float = 1.0) -> Callable[[Tensor], Tensor]:
    """``streams`` clips behind ``prompt [streams or 1, p]``; each call draws on: ``uniforms [b, n] -> wave [b, n]``."""
    output, field = model.config.output, model.receptive_field
    wave = prompt.expand(streams, -1)

    def draw(uniforms: Tensor) -> Tensor:
        nonlocal wave
        for uniform in uniforms.unbind(1):
            unknown = wave.new_zeros(streams, 1)  # its value does not matter: no output sees the present
            parameters = model(torch.cat([wave[:, -field:], unknown], dim=1))[:, -1]
            sample = output.sample(parameters, uniform, temperature)[:, None]
            wave = torch.cat([wave, sample], dim=1)
        return wave[:, -uniforms.shape[1] :]

    return draw
