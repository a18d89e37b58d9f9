"""One step a sample: every block keeps the inputs that its next outputs need in a ring (Paine et al. 2016).

The rings are primed by one parallel pass over the last receptive field of silence and prompt.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from wavenet.layers import GatedBlock
from wavenet.model import WaveNet


class Ring:
    """The last inputs of one causal convolution; ``push`` adds one and returns what the convolution's taps see.

    The queue of Paine et al., for any kernel size. It holds references, so nothing is moved or copied.
    """

    def __init__(self, past: Tensor, dilation: int):
        self.inputs = list(past.unbind(2))  # each [b, c], oldest first
        self.dilation, self.at = dilation, 0

    def push(self, x: Tensor) -> Tensor:
        """``[b, c] -> [b, k · c]``, oldest tap first."""
        inputs, history = self.inputs, len(self.inputs)
        if not history:
            return x
        taps = [inputs[(self.at + back) % history] for back in range(0, history, self.dilation)]
        inputs[self.at] = x
        self.at = (self.at + 1) % history
        return torch.cat([*taps, x], dim=1)


class Step:
    """One block's arithmetic for one sample, its weights laid out for a single product each."""

    def __init__(self, block: GatedBlock):
        self.dilation = block.dilated.dilation[0]
        self.dilated = block.dilated.weight.transpose(1, 2).flatten(1).t().contiguous()  # [k · c, gate]
        self.bias = block.dilated.bias
        self.residual = None if block.residual is None else block.residual.weight[..., 0].t().contiguous()
        self.residual_bias = None if block.residual is None else block.residual.bias

    def __call__(self, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """``x [b, c]`` and what the taps see, to the next block's input and the gated output."""
        filter, gate = torch.addmm(self.bias, seen, self.dilated).chunk(2, dim=1)
        gated = torch.tanh(filter) * torch.sigmoid(gate)
        if self.residual is not None:
            x = torch.addmm(self.residual_bias, gated, self.residual).add_(x)
        return x, gated


def begin(model: WaveNet, prompt: Tensor, streams: int, temperature: float = 1.0) -> Callable[[Tensor], Tensor]:
    """``streams`` clips behind ``prompt [streams or 1, p]``; each call draws on: ``uniforms [b, n] -> wave [b, n]``."""
    output = model.config.output
    steps = [Step(block) for block in model.blocks]
    newest, rings = primed(model, prompt, streams)
    head = (model.skip, model.hidden, model.output)
    skip, hidden, last = ((layer.weight[..., 0].t().contiguous(), layer.bias) for layer in head)

    def draw(uniforms: Tensor) -> Tensor:
        nonlocal newest
        drawn = []
        for uniform in uniforms.unbind(1):
            x = model.input(output.encode(newest))
            gated = []
            for step, ring in zip(steps, rings, strict=True):
                x, z = step(x, ring.push(x))
                gated.append(z)
            y = F.relu(torch.addmm(skip[1], torch.cat(gated, dim=1), skip[0]))
            y = F.relu(torch.addmm(hidden[1], y, hidden[0]))
            newest = output.sample(torch.addmm(last[1], y, last[0]), uniform, temperature)
            drawn.append(newest)
        return torch.stack(drawn, dim=1)

    return draw


def primed(model: WaveNet, prompt: Tensor, batch: int) -> tuple[Tensor, list[Ring]]:
    """The newest sample ``[b]``, and each block's ring as if everything before that sample had been pushed.

    A prompt that all clips share is looked at once.
    """
    field = model.receptive_field
    wave = F.pad(prompt, (field, 0))[:, -field:]
    x = model.input(model.config.output.encode(wave[:, :-1])).transpose(1, 2)
    rings = []
    for block in model.blocks:
        history = block.window.history
        rings.append(Ring(x[..., x.shape[2] - history :].expand(batch, -1, -1), block.dilated.dilation[0]))
        x = block(x)[0] if x.shape[2] > history else x[..., :0]
    return wave[:, -1].expand(batch), rings
