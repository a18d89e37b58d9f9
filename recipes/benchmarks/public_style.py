"""The yardstick: a WaveNet written the way public PyTorch ones are, with the very weights of ours.

Channels first, one-hot input, zeros for padding, a filter and a gate convolution a layer, a 1×1 residual and a 1×1
skip convolution a layer, every output of a crop computed and scored; and a sampler with a Python queue a layer. It
is no one's code, and no straw man: where habits differ the quicker one is taken (no residual convolution behind the
last layer, no weight norm, and, of two samplers, one whose weights are flattened beforehand). That it is the same
network is tested: its likelihoods, gradients and samples are ours wherever the context is complete.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavenet.distributions.categorical import mu_law_decode, mu_law_encode
from wavenet.model import WaveNet, WaveNetConfig


class Layer(nn.Module):
    """One gated layer of the usual make: ``[b, c, t] -> [b, c, t]`` and its contribution ``[b, skip, t]``."""

    def __init__(self, config: WaveNetConfig, dilation: int, last: bool):
        super().__init__()
        residual, half, kernel_size = config.residual_channels, config.gate_channels // 2, config.kernel_size
        self.padding = (kernel_size - 1) * dilation
        self.filter = nn.Conv1d(residual, half, kernel_size, dilation=dilation)
        self.gate = nn.Conv1d(residual, half, kernel_size, dilation=dilation)
        self.residual = None if last else nn.Conv1d(half, residual, 1)
        self.skip = nn.Conv1d(half, config.skip_channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Zeros to the left, so that the length stays."""
        padded = F.pad(x, (self.padding, 0))
        gated = torch.tanh(self.filter(padded)) * torch.sigmoid(self.gate(padded))
        skip = self.skip(gated)
        return x if self.residual is None else x + self.residual(gated), skip


class PublicStyleWaveNet(nn.Module):
    """The network: one-hot ``[b, 256, t]`` to logits ``[b, 256, t]``, of which column ``t`` predicts ``t + 1``."""

    def __init__(self, config: WaveNetConfig):
        super().__init__()
        self.config, self.classes = config, config.output.classes
        *inner, last = config.dilations
        self.input = nn.Conv1d(self.classes, config.residual_channels, 1)
        self.layers = nn.ModuleList([*(Layer(config, d, False) for d in inner), Layer(config, last, True)])
        self.hidden = nn.Conv1d(config.skip_channels, config.skip_channels, 1)
        self.output = nn.Conv1d(config.skip_channels, self.classes, 1)

    @classmethod
    @torch.no_grad()
    def from_wavenet(cls, model: WaveNet) -> PublicStyleWaveNet:
        """The same network in this form, with copies of the weights."""
        config, half = model.config, model.config.gate_channels // 2
        twin = cls(config).to(model.skip.weight)
        twin.input.weight.copy_(model.input.weight.t()[..., None])
        twin.input.bias.zero_()
        for at, (layer, block) in enumerate(zip(twin.layers, model.blocks, strict=True)):
            for part, rows in ((layer.filter, slice(half)), (layer.gate, slice(half, None))):
                part.weight.copy_(block.dilated.weight[rows])
                part.bias.copy_(block.dilated.bias[rows])
            if layer.residual is not None:
                layer.residual.load_state_dict(block.residual.state_dict())
            layer.skip.weight.copy_(model.skip.weight[:, at * half : (at + 1) * half])
            layer.skip.bias.zero_()
        twin.layers[0].skip.bias.copy_(model.skip.bias)  # the sum has one bias
        twin.hidden.load_state_dict(model.hidden.state_dict())
        twin.output.load_state_dict(model.output.state_dict())
        return twin

    def forward(self, x: Tensor) -> Tensor:
        """All columns."""
        x = self.input(x)
        total = None
        for layer in self.layers:
            x, skip = layer(x)
            total = skip if total is None else total + skip
        return self.output(F.relu(self.hidden(F.relu(total))))

    def nll(self, wave: Tensor) -> Tensor:
        """Cross entropy in nats of every sample, the first too: ``wave [b, t] -> [b, t]``.

        Before the crop there are zeros, so only ``[:, receptive_field:]`` is predicted from complete context.
        """
        codes = mu_law_encode(wave, self.classes)
        past = F.pad(self.one_hot(codes), (1, -1))
        return F.cross_entropy(self(past), codes, reduction="none")

    def one_hot(self, codes: Tensor) -> Tensor:
        """``[b, t] -> [b, classes, t]``."""
        zeros = self.output.weight.new_zeros(codes.shape[0], self.classes, codes.shape[1])
        return zeros.scatter_(1, codes[:, None], 1.0)


class CachedLayer:
    """A layer's arithmetic for one sample: a queue of past inputs, and each convolution at its newest place."""

    def __init__(self, layer: Layer, batch: int, convolve: bool):
        self.layer, self.dilation, self.convolve = layer, layer.filter.dilation[0], convolve
        self.filter, self.gate, self.skip = (_stepwise(c, convolve) for c in (layer.filter, layer.gate, layer.skip))
        self.residual = None if layer.residual is None else _stepwise(layer.residual, convolve)
        silence = layer.filter.weight.new_zeros(batch, layer.filter.in_channels)
        self.queue = deque([silence] * (layer.padding + 1), maxlen=layer.padding + 1)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``[b, c] -> [b, c]`` and ``[b, skip]``."""
        self.queue.append(x)
        taps = _seen([self.queue[at] for at in range(0, self.layer.padding + 1, self.dilation)], self.convolve)
        gated = torch.tanh(self.filter(taps)) * torch.sigmoid(self.gate(taps))
        one = _seen([gated], self.convolve)
        skip = self.skip(one)
        return x if self.residual is None else x + self.residual(one), skip


class PublicStyleSampler:
    """Draws a waveform as public samplers do, one sample at a time, from zeros; the prompt goes the same way.

    Softmax, then the code at which the cumulative probability passes the uniform number: the same numbers draw the
    same waveform as our engines do, once what was heard fills the receptive field. With ``convolve`` every layer
    calls convolutions, as most public samplers do; without, products of flattened weights, as the best of them.
    """

    def __init__(self, model: PublicStyleWaveNet, streams: int, temperature: float = 1.0, *, convolve: bool = False):
        self.model, self.temperature, self.convolve = model, temperature, convolve
        self.layers = [CachedLayer(layer, streams, convolve) for layer in model.layers]
        self.first, self.hidden, self.last = (
            _stepwise(layer, convolve) for layer in (model.input, model.hidden, model.output)
        )
        self.column = model.output.weight.new_zeros(streams, model.classes)

    @torch.inference_mode()
    def draw(self, uniforms: Tensor) -> Tensor:
        """The next samples ``[b, n]``, one for each of the numbers ``[b, n]``."""
        drawn = []
        for uniform in uniforms.unbind(1):
            cumulative = torch.softmax(self._step().double() / self.temperature, dim=1).cumsum(dim=1)
            passed = torch.searchsorted(cumulative, uniform[:, None] * cumulative[:, -1:], right=True)
            codes = passed.clamp(max=self.model.classes - 1)
            self.column = self.model.one_hot(codes)[..., 0]
            drawn.append(codes)
        return mu_law_decode(torch.cat(drawn, dim=1), self.model.classes)

    @torch.inference_mode()
    def hear(self, wave: Tensor) -> None:
        """Go on behind ``wave [b, n]``."""
        for codes in mu_law_encode(wave, self.model.classes).unbind(1):
            self._step()
            self.column = self.model.one_hot(codes[:, None])[..., 0]

    def _step(self) -> Tensor:
        x = self.first(_seen([self.column], self.convolve))
        total = None
        for layer in self.layers:
            x, skip = layer(x)
            total = skip if total is None else total + skip
        y = F.relu(self.hidden(_seen([F.relu(total)], self.convolve)))
        return self.last(_seen([y], self.convolve))


def pair(config: WaveNetConfig, seed: int = 0) -> tuple[WaveNet, PublicStyleWaveNet]:
    """Ours and the yardstick with the same random weights, the output layer's large enough that they matter."""
    torch.manual_seed(seed)
    model = WaveNet(config)
    nn.init.normal_(model.output.weight, std=0.3)  # a new WaveNet has zeros there: any engine would agree
    return model, PublicStyleWaveNet.from_wavenet(model)


def _seen(taps: list[Tensor], convolve: bool) -> Tensor:
    """What a layer's taps see, oldest first: ``[b, c]`` each, to ``[b, c, k]`` or flat, ``[b, k · c]``."""
    return torch.stack(taps, dim=2) if convolve else torch.cat(taps, dim=1) if len(taps) > 1 else taps[0]


def _stepwise(conv: nn.Conv1d, convolve: bool) -> Callable[[Tensor], Tensor]:
    """The convolution at one place: its taps side by side, so no dilation is left."""
    if convolve:
        return lambda seen: F.conv1d(seen, conv.weight, conv.bias)[..., 0]
    weight, bias = conv.weight.detach().transpose(1, 2).flatten(1).contiguous(), conv.bias.detach()
    return lambda seen: F.linear(seen, weight, bias)
