"""The definition of sampling: show the model everything so far, take its last word, draw, append, repeat.

Slow and obvious. The receptive field is recomputed for every sample.
"""

import torch
from torch import Tensor

from wavenet.conditioning import Condition
from wavenet.distributions import PLAIN, Drawing
from wavenet.model import WaveNet


class Reference:
    """``streams`` clips behind ``prompt [streams or 1, p]``, told ``condition`` from the prompt's start on."""

    def __init__(
        self,
        model: WaveNet,
        prompt: Tensor,
        streams: int,
        drawing: Drawing = PLAIN,
        condition: Condition = Condition(),
    ):
        self.model, self.drawing = model, drawing
        self.wave, self.condition = prompt.expand(streams, -1), condition.expand(streams)

    def draw(self, uniforms: Tensor) -> Tensor:
        """The next samples ``[b, n]``, one for each of the numbers ``[b, n]``."""
        output, field = self.model.config.output, self.model.receptive_field
        unknown = self.wave.new_zeros(len(uniforms), 1)  # its value does not matter: no output sees the present
        for uniform in uniforms.unbind(1):
            told = self.condition.later(max(0, self.wave.shape[1] - field))
            parameters = self.model(torch.cat([self.wave[:, -field:], unknown], dim=1), told)[:, -1]
            self.hear(output.sample(parameters, uniform, self.drawing)[:, None])
        return self.wave[:, self.wave.shape[1] - uniforms.shape[1] :]

    def hear(self, wave: Tensor) -> None:
        """Go on behind ``wave [b, n]`` as if it had been drawn."""
        self.wave = torch.cat([self.wave, wave], dim=1)


@torch.inference_mode()
def redrawn(
    model: WaveNet,
    uniforms: Tensor,
    wave: Tensor,
    prompt: Tensor | None = None,
    drawing: Drawing = PLAIN,
    condition: Condition = Condition(),
) -> Tensor:
    """What the reference draws from ``uniforms [b, t]`` for each sample of ``wave [b, t]`` if all before it is kept.

    An engine that is right draws a wave that comes out as it went in, up to the output's ``slack``. One parallel pass
    says so, and no last bit of a sum can grow from sample to sample. ``prompt [b or 1, p]`` is what came before.
    """
    past = wave[:1, :0] if prompt is None else prompt
    whole = torch.cat([past.expand(len(wave), -1), wave], dim=1).to(model.device)
    parameters = model(whole, condition.expand(len(wave)))[:, past.shape[1] :]
    return model.config.output.sample(parameters, uniforms.to(model.device), drawing).cpu()
