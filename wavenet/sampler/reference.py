"""The definition of sampling: show the model everything so far, take its last word, draw, append, repeat.

Slow and obvious. The receptive field is recomputed for every sample.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from wavenet.model import WaveNet


def run(model: WaveNet, uniforms: Tensor, prompt: Tensor, temperature: float = 1.0) -> Iterator[Tensor]:
    """Draw ``[b, 1]`` for each column of ``uniforms [b, t]`` behind ``prompt [b or 1, p]``."""
    output, field = model.config.output, model.receptive_field
    wave = prompt.expand(len(uniforms), -1)
    for uniform in uniforms.unbind(1):
        unknown = wave.new_zeros(len(uniform), 1)  # its value does not matter: no output sees the present
        parameters = model(torch.cat([wave[:, -field:], unknown], dim=1))[:, -1]
        sample = output.sample(parameters, uniform, temperature)[:, None]
        wave = torch.cat([wave, sample], dim=1)
        yield sample
