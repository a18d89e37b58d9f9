"""The definition of sampling: show the model everything so far, take its last word, draw, append, repeat.

Slow and obvious. The receptive field is recomputed for every sample.
"""

import torch
from torch import Tensor

from wavenet.model import WaveNet


class Reference:
    """``streams`` clips behind ``prompt [streams or 1, p]``."""

    def __init__(self, model: WaveNet, prompt: Tensor, streams: int, temperature: float = 1.0):
        self.model, self.temperature = model, temperature
        self.wave = prompt.expand(streams, -1)

    def draw(self, uniforms: Tensor) -> Tensor:
        """The next samples ``[b, n]``, one for each of the numbers ``[b, n]``."""
        output, field = self.model.config.output, self.model.receptive_field
        unknown = self.wave.new_zeros(len(uniforms), 1)  # its value does not matter: no output sees the present
        for uniform in uniforms.unbind(1):
            parameters = self.model(torch.cat([self.wave[:, -field:], unknown], dim=1))[:, -1]
            self.hear(output.sample(parameters, uniform, self.temperature)[:, None])
        return self.wave[:, self.wave.shape[1] - uniforms.shape[1] :]

    def hear(self, wave: Tensor) -> None:
        """Go on behind ``wave [b, n]`` as if it had been drawn."""
        self.wave = torch.cat([self.wave, wave], dim=1)
