"""One step a sample: every block keeps the inputs that its next outputs need in a ring (Paine et al. 2016).

The rings are primed by one parallel pass over the last receptive field of silence and prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from wavenet.conditioning import Condition
from wavenet.distributions import PLAIN, Drawing
from wavenet.layers import GatedBlock
from wavenet.model import WaveNet
from wavenet.sampler.predicting import Expectation
from wavenet.sampler.told import alone


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
        self.condition = None if block.condition is None else block.condition.weight[..., 0].t().contiguous()

    def __call__(self, x: Tensor, seen: Tensor, told: Tensor | None) -> tuple[Tensor, Tensor]:
        """``x [b, c]``, what the taps see and what is told, to the next block's input and the gated output."""
        z = torch.addmm(self.bias, seen, self.dilated)
        if self.condition is not None:
            z = torch.addmm(z, told, self.condition)
        filter, gate = z.chunk(2, dim=1)
        gated = torch.tanh(filter) * torch.sigmoid(gate)
        if self.residual is not None:
            x = torch.addmm(self.residual_bias, gated, self.residual).add_(x)
        return x, gated


class Cached:
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
        self.steps = [Step(block) for block in model.blocks]
        self.condition, self.time = condition.expand(streams), prompt.shape[1]
        past = primed(model, prompt, streams, self.condition)
        self.newest, self.expected, self.rings = past.newest, past.expected, past.rings
        self.expectation = (
            Expectation(model.config.frames, self.condition, past.wave) if model.config.predictor else None
        )
        head = (model.skip, model.hidden, model.output)
        self.head = [(layer.weight[..., 0].t().contiguous(), layer.bias) for layer in head]

    def draw(self, uniforms: Tensor) -> Tensor:
        """The next samples ``[b, n]``, one for each of the numbers ``[b, n]``."""
        drawn = []
        (skip, skip_bias), (hidden, hidden_bias), (last, last_bias) = self.head
        for uniform, told in zip(uniforms.unbind(1), self._told(uniforms.shape[1]), strict=True):
            y = F.relu(torch.addmm(skip_bias, torch.cat(self._push(told), dim=1), skip))
            y = F.relu(torch.addmm(hidden_bias, y, hidden))
            parameters, output = torch.addmm(last_bias, y, last), self.model.config.output
            if self.expectation:
                parameters = output.around(parameters, self.expectation.next())
            self._hear(output.sample(parameters, uniform, self.drawing))
            drawn.append(self.newest)
        return torch.stack(drawn, dim=1) if drawn else uniforms.new_zeros(len(uniforms), 0, dtype=torch.float32)

    def hear(self, wave: Tensor) -> None:
        """Go on behind ``wave [b, n]`` as if it had been drawn."""
        for sample, told in zip(wave.unbind(1), self._told(wave.shape[1]), strict=True):
            self._push(told)
            self._hear(sample)

    def _hear(self, sample: Tensor) -> None:
        self.newest = sample
        if self.expectation:
            self.expected = self.expectation.next()
            self.expectation.heard(self.model.config.output.quantise(sample))

    def _told(self, samples: int) -> Sequence[Tensor | None]:
        """What is told of each of the next samples, ``[b, c]``; time moves on by them."""
        conditioning, start = self.model.conditioning, self.time
        self.time += samples
        if self.expectation:
            self.expectation.begin(start, samples)
        return [None] * samples if conditioning is None else conditioning(self.condition, start, samples)

    def _push(self, told: Tensor | None) -> list[Tensor]:
        """Let every block see the newest sample, and what is told of the next one; their gated outputs."""
        x, gated = self.model.heard(self.newest, self.expected), []
        for step, ring in zip(self.steps, self.rings, strict=True):
            x, z = step(x, ring.push(x), told)
            gated.append(z)
        return gated


class Past(NamedTuple):
    """What a prompt leaves behind."""

    newest: Tensor
    """The newest sample ``[b]``, which no block has seen yet."""
    expected: Tensor | None
    """What a linear predictor expected of it, ``[b, 2]``."""
    rings: list[Ring]
    """Each block's ring as if everything before that sample had been pushed."""
    wave: Tensor
    """``[b, predictor]``: the last samples."""


def primed(model: WaveNet, prompt: Tensor, batch: int, condition: Condition = Condition()) -> Past:
    """Where sampling begins.

    A prompt that all clips share is looked at once, if they are told nothing. Otherwise each is looked at alone: the
    last bits of a convolution depend on the batch, and a clip must not depend on its company.
    """
    field = model.receptive_field
    wave = F.pad(prompt, (field, 0))[:, -field:]
    rows = len(wave) if model.conditioning is None else batch
    wave, later = wave.expand(rows, -1), condition.later(prompt.shape[1])
    found = [_past(model, wave[at : at + 1], alone(later, at)) for at in range(rows)]
    rings = [
        Ring(torch.cat(past).expand(batch, -1, -1), block.dilated.dilation[0])
        for past, block in zip(zip(*(pasts for pasts, _ in found), strict=True), model.blocks, strict=True)
    ]
    expected = torch.cat([each for _, each in found]) if model.config.predictor else None
    heard = model.config.output.quantise(wave[:, field - model.config.predictor :])
    return Past(wave[:, -1].expand(batch), expected, rings, heard)


def _past(model: WaveNet, wave: Tensor, condition: Condition) -> tuple[list[Tensor], Tensor | None]:
    """Each block's inputs ``[1, c, history]`` from ``wave [1, receptive_field]``, and what was expected of its end."""
    prior, told = model.prior(wave, condition), model.told(condition, 0)
    x = model.inputs(wave, prior).permute(1, 2, 0)
    told = None if told is None else told.permute(1, 2, 0)
    inputs = []
    for block in model.blocks:
        history = block.field.history
        inputs.append(x[..., x.shape[2] - history :])
        x = block(x, told)[0] if x.shape[2] > history else x[..., :0]
    return inputs, None if prior is None else prior[:, -1]
