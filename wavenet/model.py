"""WaveNet. One rule holds everywhere: ``model(wave)[:, t]`` describes ``wave[:, t]`` and comes from ``wave[:, :t]``.

Nothing is shifted or sliced anywhere else. Before a recording begins there is silence (zeros), so every output
sees a whole receptive field and the first second of a clip obeys the same law as the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared import rf
from shared.config import from_json, to_json
from shared.dense import Dense
from shared.files import write_file
from shared.schedules import exponential
from shared.training import checkpoint
from wavenet import fused, linear_prediction
from wavenet.audio import RATE
from wavenet.conditioning import Condition, Conditioning, Frames, Labels
from wavenet.distributions import Categorical, Distribution, Drawing
from wavenet.distributions.mixture import Mixture
from wavenet.layers import GatedBlock
from wavenet.mel import Mel

if TYPE_CHECKING:
    from wavenet.clip import Clip

MOST_LAYERS, MOST_CHANNELS, LONGEST_FIELD = 200, 4096, 2**24  # a config from elsewhere must not exhaust memory


@dataclass(frozen=True, kw_only=True)
class WaveNetConfig:
    """The shape of a network: everything that its weights depend on."""

    dilations: tuple[int, ...] = exponential(10, stacks=3)
    """One dilation a layer; any tuple is legal (``shared.schedules`` spells the usual ones)."""
    kernel_size: int = 2
    """Taps of each dilated convolution."""
    residual_channels: int = 64
    """Width of the stream from block to block."""
    gate_channels: int = 128
    """Filter and gate together; even."""
    skip_channels: int = 256
    """Width of the skip sum and of the head."""
    output: Distribution = Categorical()
    """What is predicted for each sample."""
    labels: Labels | None = None
    """The names of which one goes with each sound; None: none."""
    frames: Frames | Mel | None = None
    """Features that go with the sound, its own mel spectrogram or others; None: none."""

    def __post_init__(self):
        if not 1 <= len(self.dilations) <= MOST_LAYERS or min(self.dilations) < 1:
            raise ValueError(f"dilations must be 1 to {MOST_LAYERS} positive numbers, not {list(self.dilations)}")
        for name in ("kernel_size", "residual_channels", "gate_channels", "skip_channels"):
            if not 1 <= getattr(self, name) <= MOST_CHANNELS:
                raise ValueError(f"{name} must lie between 1 and {MOST_CHANNELS}, not {getattr(self, name)}")
        if self.gate_channels % 2:
            raise ValueError(f"gate_channels holds filter and gate, so it must be even, not {self.gate_channels}")
        if self.predictor and not isinstance(self.output, Mixture):
            raise ValueError(
                "a linear predictor moves and widens what is predicted, so the output must be a mixture; "
                "set frames.predictor to 0 for another one"
            )
        if self.receptive_field > LONGEST_FIELD:
            raise ValueError(f"a receptive field of {self.receptive_field} samples is beyond {LONGEST_FIELD}")

    @property
    def receptive_field(self) -> int:
        """How many past samples one prediction sees.

        >>> WaveNetConfig().receptive_field
        3070
        """
        return 1 + (self.kernel_size - 1) * sum(self.dilations) + self.predictor

    @property
    def predictor(self) -> int:
        """Order of the linear predictor that the frames give; 0: there is none."""
        return self.frames.predictor if isinstance(self.frames, Mel) else 0


PRESETS = {
    "tiny": WaveNetConfig(dilations=exponential(9, 2), residual_channels=32, gate_channels=64, skip_channels=128),
    # sees 16 ms; of all that recipes/README.md compares, it learns most in the first minutes
    "short": WaveNetConfig(dilations=exponential(6, 4), residual_channels=48, gate_channels=96, skip_channels=128),
    "small": WaveNetConfig(dilations=exponential(10, 2), residual_channels=48, gate_channels=96, skip_channels=128),
    "base": WaveNetConfig(),
    "large": WaveNetConfig(dilations=exponential(10, 4), residual_channels=128, gate_channels=256, skip_channels=512),
}


class WaveNet(nn.Module):
    """The network: an input layer, gated blocks by schedule, one wide skip layer, and a head of two ReLU layers.

    The skip connections of all blocks are one matrix product: the sum of a 1×1 convolution a block equals one
    1×1 convolution of all gated outputs side by side.

    >>> model = WaveNet(WaveNetConfig(dilations=(1, 2, 4), residual_channels=8, gate_channels=16, skip_channels=8))
    >>> model(torch.zeros(2, 100)).shape
    torch.Size([2, 100, 256])
    """

    sample_rate = RATE

    def __init__(self, config: WaveNetConfig | None = None):
        super().__init__()
        self.config = config = config or WaveNetConfig()
        *inner, last = config.dilations
        self.input = config.output.input_layer(config.residual_channels)
        self.surprise = config.output.input_layer(config.residual_channels) if config.predictor else None
        """The input layer for what the linear predictor did not expect."""
        told = config.labels or config.frames
        self.conditioning = Conditioning(config.labels, config.frames) if told else None
        self.blocks = nn.ModuleList(
            GatedBlock(
                config.residual_channels,
                config.gate_channels,
                config.kernel_size,
                dilation,
                is_last,
                self.conditioning.width if self.conditioning else 0,
            )
            for dilation, is_last in [*((d, False) for d in inner), (last, True)]
        )
        skips = len(config.dilations) * config.gate_channels // 2
        self.skip = nn.Conv1d(skips, config.skip_channels, 1)
        self.hidden = nn.Conv1d(config.skip_channels, config.skip_channels, 1)
        self.output = nn.Conv1d(config.skip_channels, config.output.channels, 1)
        nn.init.zeros_(self.output.weight)  # before the first step the past says nothing
        with torch.no_grad():
            output = config.output
            self.output.bias.copy_(output.initial_around() if config.predictor else output.initial())
        stack = rf.through(rf.Field(offset=-1), *(block.field for block in self.blocks))
        self.context = stack.size
        """How many steps of the blocks' input one output sees."""
        self.field = rf.through(stack, rf.Field.causal(config.predictor + 1))
        """What the output at ``t`` sees, in samples relative to ``t``: it ends at ``t − 1``."""

    @property
    def receptive_field(self) -> int:
        """How many past samples one prediction sees."""
        return self.field.size

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.skip.weight.device

    def forward(self, wave: Tensor, condition: Condition | None = None) -> Tensor:
        """Distribution parameters for every sample: ``wave [b, t] -> [b, t, channels]``.

        The slow, obvious form that every faster path is tested against. ``condition`` goes with the whole of ``wave``.
        """
        past = F.pad(wave, (self.receptive_field, 0))
        prior = self.prior(past, condition)
        x = self.inputs(past, prior).permute(1, 2, 0)
        told = self.told(condition, wave.shape[1])
        told = None if told is None else told.permute(1, 2, 0)
        skips = []
        for block in self.blocks:
            x, gated = block(x, told)
            skips.append(gated[..., -wave.shape[1] :])
        hidden = F.relu(self.hidden(F.relu(self.skip(torch.cat(skips, dim=1)))))
        parameters = self.output(hidden).transpose(1, 2)
        return parameters if prior is None else self.config.output.around(parameters, prior[:, self.context :])

    def nll(self, wave: Tensor, condition: Condition | None = None) -> Tensor:
        """Negative log likelihood in nats, the fast way: ``wave [b, receptive_field + t] -> [b, t]``.

        The first ``receptive_field`` samples are only looked at; only outputs that are scored are computed. Time in
        ``condition`` counts from the first that is.
        """
        parameters, targets = self.predictions(wave, condition)
        return self.config.output.nll(parameters, targets).t()

    def predictions(self, wave: Tensor, condition: Condition | None = None) -> tuple[Tensor, Tensor]:
        """Parameters ``[t, b, channels]`` and the samples ``[t, b]`` that they are for, of what ``nll`` takes."""
        targets = wave[:, self.receptive_field :]
        prior = self.prior(wave, condition)
        x = self.inputs(wave, prior)  # time first: see wavenet.fused
        told = self.told(condition, targets.shape[1])
        skip = fused.skip_sum(x, self.blocks, self.skip, targets.shape[1], told)
        hidden = _dense(F.relu(skip), self.hidden)
        if self.config.output.fine:
            hidden = hidden.float()
        parameters = _dense(F.relu(hidden), self.output).view(targets.shape[1], targets.shape[0], -1)
        if prior is not None:
            parameters = self.config.output.around(parameters, prior[:, self.context :].transpose(0, 1))
        return parameters, targets.t()

    def prior(self, wave: Tensor, condition: Condition | None) -> Tensor | None:
        """What the linear predictor says of ``wave [b, predictor + n]`` behind its first samples; None without one.

        Means and log scales, ``[b, n, 2]``. Time in ``condition`` counts from ``context`` samples later on.
        """
        if not self.config.predictor:
            return None
        self.conditioning.check(condition)
        with torch.no_grad(), torch.autocast(wave.device.type, enabled=False):  # it subtracts what is nearly equal
            heard = self.config.output.quantise(wave)  # as it will be when it has been drawn
            return linear_prediction.prior(self.config.frames, condition, heard, -self.context)

    def inputs(self, wave: Tensor, prior: Tensor | None) -> Tensor:
        """The blocks' inputs ``[n − 1, b, residual]``: every sample that ``prior [b, n, 2]`` is of, but the last."""
        past = wave[:, self.config.predictor : -1].t()
        return self.heard(past, None if prior is None else prior[:, :-1].transpose(0, 1))

    def heard(self, wave: Tensor, prior: Tensor | None) -> Tensor:
        """Samples ``[*]``, of which ``prior [*, 2]`` was expected, as the blocks' input ``[*, residual]``."""
        x = self.input(self.config.output.encode(wave))
        if prior is None:
            return x
        return x + self.surprise(linear_prediction.surprise(self.config.output.quantise(wave), prior))

    def told(self, condition: Condition | None, samples: int) -> Tensor | None:
        """What the blocks are told on the way to so many outputs: ``[context + samples, b, c]``, or None."""
        if self.conditioning is None:
            if condition is not None and (condition.label is not None or condition.frames is not None):
                raise ValueError("the model takes no condition")
            return None
        self.conditioning.check(condition)
        return self.conditioning(condition, -self.context, self.context + samples)

    def generate(
        self,
        seconds: float | None = None,
        *,
        samples: int | None = None,
        seed: int = 0,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        prompt: Any = None,
        engine: str = "auto",
        precision: str = "float32",
        speaker: str | None = None,
        frames: Tensor | None = None,
    ) -> Clip:
        """Generate one clip; ``prompt`` is what it continues: a Clip or samples ``[t]`` at 16 kHz.

        ``temperature``, ``top_k`` and ``top_p`` are those of ``wavenet.distributions.Drawing``. ``speaker`` is one of
        the names that the model knows, ``frames [channels, f]`` what it makes sound of, counted from the start of the
        prompt. The clip holds the prompt and then the new sound. See ``wavenet.sampler.batch`` for many at once.
        """
        from wavenet.clip import Clip
        from wavenet.sampler.batch import generate_batch

        if (seconds is None) == (samples is None):
            raise ValueError("give seconds or samples")
        length = samples if samples is not None else round(seconds * self.sample_rate)
        told = {"speakers": None if speaker is None else [speaker], "frames": None if frames is None else [frames]}
        choices = {"prompt": prompt, "engine": engine, "precision": precision}
        drawing = Drawing(temperature=temperature, top_k=top_k, top_p=top_p)
        (wave,) = generate_batch(self, length, seeds=[seed], drawing=drawing, **told, **choices)
        return Clip(wave.numpy())

    def save_pretrained(self, folder: Path | str, card: str | None = None) -> None:
        """Write ``config.json`` and ``model.safetensors``, from which ``from_pretrained`` rebuilds the model.

        And README.md, the model card: ``card``, or one made of the model alone where there is none yet. An earlier
        model there is replaced, each file in one step; the folder of a training run is refused with InputError.
        """
        from wavenet.card import CARD
        from wavenet.card import card as card_of

        folder = Path(folder)
        checkpoint.save_model(folder, {"model": to_json(self.config)}, self)
        if card is not None or not (folder / CARD).exists():
            write_file(folder / CARD, card if card is not None else card_of(self, folder.absolute().name))

    @classmethod
    def from_pretrained(cls, folder: Path | str, device: torch.device | str = "cpu") -> Self:
        """The model of a run folder or saved folder, ready to generate; InputError if there is none.

        Nothing is downloaded: ``wavenet.hub.HubWaveNet`` takes names on the Hugging Face Hub.
        """
        values = checkpoint.load_config(Path(folder))
        config = from_json(WaveNetConfig, values.get("model"), "model.")
        with torch.random.fork_rng(devices=[]):  # first weights are random, but the caller's numbers stay the same
            model = cls(config)
        checkpoint.load_weights(Path(folder), model)
        return model.to(device).eval()


def preset(name: str, **changes: Any) -> WaveNetConfig:
    """A preset by name, with some fields changed.

    >>> preset("tiny", kernel_size=3).receptive_field
    2045
    """
    return replace(PRESETS[name], **changes)


def _dense(x: Tensor, layer: nn.Conv1d) -> Tensor:
    return Dense.apply(x, layer.weight[..., 0].to(x.dtype), layer.bias.to(x.dtype))
