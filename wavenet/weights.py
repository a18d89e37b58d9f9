"""What lies in ``model.safetensors``: name, shape and meaning of every tensor, so that any framework can use them.

``layout(config)`` is the list, ``forward(config)`` says what to do with it; a model card holds both. A test follows
them in numpy alone and finds the model's own answers. All tensors are float32; weights of a layer are
``[out, in, taps]``, with the oldest tap first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wavenet.distributions import Categorical
from wavenet.distributions.mixture import LEVELS

if TYPE_CHECKING:
    from wavenet.model import WaveNetConfig

CODES = """\
1. **Codes.** `classes` is the number of rows of `input.weight`, μ = classes − 1, samples lie in [−1, 1].
   `level(x) = (sign(x) · ln(1 + μ·|x|) / ln(1 + μ) + 1) / 2 · μ`, and the code is `floor(level(x) + 0.5)`.
2. **Input.** `h[t] = input.weight[code(x[t−1])]`. Before the first sample there is silence: x = 0."""

GRID = """\
1. **Levels.** A sample is rounded to the 16-bit grid n / 32768. With μ = 255,
   `level(x) = (sign(x) · ln(1 + μ·|x|) / ln(1 + μ) + 1) / 2 · μ`, from 0 to 255.
2. **Input.** `h[t]` is `input.weight` read at `level(x[t−1])`, linearly between its rows. Before the first sample
   there is silence: x = 0."""

BLOCKS = """\
3. **Blocks**, l = 0, 1, … with dilation d of `config.json`, K taps, and C[t] the condition, if there is one:
   `z[t] = dilated.bias + Σₖ dilated.weight[:, :, k] · h[t − (K−1−k)·d]` `+ condition.weight · C[t]`;
   the first half of z is the filter, the second the gate: `g[l][t] = tanh(filter) · sigmoid(gate)`;
   `h[t] ← h[t] + residual.bias + residual.weight · g[l][t]`, except behind the last block.
4. **Head.** `s[t] = skip.bias + skip.weight · (g[0][t], g[1][t], … side by side)`;
   `out[t] = output.bias + output.weight · relu(hidden.bias + hidden.weight · relu(s[t]))`."""

LOGITS = """\
5. **Outputs.** `softmax(out[t])` are the probabilities of x[t]'s codes; code n stands for the sample of level n."""

MIXTURE = """\
5. **Outputs.** The numbers of the components, in this order: logits of their weights (none if there is one), means in
   units of 1/16, and log scales: a number s stands for the scale `exp(f + ln(1 + exp(s − f)))` with f = −20 · ln 2.
   The probability of x[t] is the mass of its cell on the 16-bit grid, half a step either way; the cells of the first
   and the last value reach to infinity."""

CONDITION = """\
6. **Condition.** `C[t]` is the label's row of `conditioning.label.weight`, then the frames' channels; what the model
   does not take is left out. Frames are standardised, `(f − mean) / deviation`, and encoded: a convolution of
   2·reach + 1 taps (`encoder.0`; outside of what is given, the first and the last frame go on), ReLU, and a 1×1
   convolution (`encoder.2`). Frame j is centred at sample j·hop; between two, with m = t mod hop,
   `kernel[0, m] · encoded[t div hop] + kernel[1, m] · encoded[t div hop + 1]`."""

PREDICTOR = """\
7. **Linear predictor.** From the frames and the samples before, `wavenet/linear_prediction.py` expects x[t] at m[t],
   give or take exp(v[t]). To h[t] is added `surprise.weight`, read like `input.weight`, at the level of
   (x[t−1] − m[t−1]) / exp(v[t−1]) / 8, clipped to [−1, 1]. Means among the outputs count in units of exp(v[t]) from
   m[t], not of 1/16 from 0, and v[t] is added to the log scales."""


@dataclass(frozen=True)
class Weight:
    """One tensor of ``model.safetensors``."""

    name: str
    shape: tuple[int, ...]
    meaning: str


def layout(config: WaveNetConfig) -> tuple[Weight, ...]:
    """All tensors of a model of this shape.

    >>> from wavenet.model import WaveNetConfig
    >>> [weight.name for weight in layout(WaveNetConfig(dilations=(1,)))]
    ['input.weight', 'blocks.0.dilated.weight', 'blocks.0.dilated.bias', 'skip.weight', 'skip.bias', 'hidden.weight', \
'hidden.bias', 'output.weight', 'output.bias']
    """
    residual, gate, skip = config.residual_channels, config.gate_channels, config.skip_channels
    half, out, last = gate // 2, config.output.channels, len(config.dilations) - 1
    rows, what = (config.output.classes, "code") if _coded(config) else (LEVELS, "level")
    found = [Weight("input.weight", (rows, residual), f"table: a row a {what}")]
    if config.predictor:
        found.append(Weight("surprise.weight", (LEVELS, residual), "table: a row a level of surprise"))
    told = 0
    if config.labels:
        told += config.labels.width
        names = (len(config.labels.names), config.labels.width)
        found.append(Weight("conditioning.label.weight", names, "table: a row a label, in the order of config.json"))
    if config.frames:
        told += config.frames.width
        taps, width = 2 * config.frames.reach + 1, config.frames.width
        found += _layer("conditioning.encoder.0", (width, config.frames.channels, taps), "frames around one")
        found += _layer("conditioning.encoder.2", (width, width, 1), "encoded frame")
        found.append(Weight("conditioning.kernel", (2, config.frames.hop), "share of a frame, and of the next one"))
    for at in range(len(config.dilations)):
        block = f"blocks.{at}"
        found += _layer(f"{block}.dilated", (gate, residual, config.kernel_size), "filter, then gate")
        if at < last:
            found += _layer(f"{block}.residual", (residual, half, 1), "way on to the next block")
        if told:
            found.append(Weight(f"{block}.condition.weight", (gate, told, 1), "condition, to filter and gate"))
    found += _layer(
        "skip", (skip, len(config.dilations) * half, 1), "all blocks' gated outputs, the first block's first"
    )
    found += _layer("hidden", (skip, skip, 1), "first layer of the head")
    found += _layer("output", (out, skip, 1), meaning_of_outputs(config))
    return tuple(found)


def forward(config: WaveNetConfig) -> str:
    """What to do with them, in Markdown."""
    parts = [CODES, BLOCKS, LOGITS] if _coded(config) else [GRID, BLOCKS, MIXTURE]
    parts += [CONDITION] if config.labels or config.frames else []
    return "\n".join([*parts, PREDICTOR] if config.predictor else parts)


def meaning_of_outputs(config: WaveNetConfig) -> str:
    """What the network's numbers for one sample are."""
    if _coded(config):
        return "logits of the codes"
    return "means and log scales" if config.output.mixtures == 1 else "weights as logits, means, and log scales"


def _coded(config: WaveNetConfig) -> bool:
    return isinstance(config.output, Categorical)


def _layer(name: str, shape: tuple[int, ...], meaning: str) -> list[Weight]:
    return [Weight(f"{name}.weight", shape, meaning), Weight(f"{name}.bias", shape[:1], "its bias")]
