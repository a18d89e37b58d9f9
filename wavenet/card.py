"""The model card: README.md beside the weights, which says what a model is, how good, how to use it and where it ends.

Its head is what the Hugging Face Hub reads (its "model card metadata"). Of the training data it names the folder or
set, never a path.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from shared.config import from_json
from shared.errors import InputError, shown
from shared.training import checkpoint
from shared.training.journal import Journal
from shared.training.progress import clock
from shared.training.session import METRICS
from wavenet.data import Recordings, Source, TorchaudioSet
from wavenet.mel import Mel
from wavenet.run import Run
from wavenet.weights import forward, layout
from wavenet.yardsticks import Yardsticks

if TYPE_CHECKING:
    from wavenet.model import WaveNet

CARD = "README.md"
LIBRARY, PIPELINE = "atrous", "audio-to-audio"  # the Hub's task of vocoders; its text-to-audio takes a text
TAGS = ("wavenet", "audio-generation")
MOST_NAMES = 20  # voices that a card lists


@dataclass(frozen=True)
class Training:
    """What a card says of how a model came to be."""

    data: str
    """The name of the folder or set."""
    steps: int
    seconds: float
    bits: float | None
    """Per sample, on what was held back; None if that was never measured."""
    yardsticks: Yardsticks

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """That of a run folder; None of a folder that only holds a model."""
        values = checkpoint.load_config(folder)
        if "train" not in values or not (folder / checkpoint.RESUME).exists():
            return None
        state = checkpoint.training_state(folder)
        records = Journal(folder / METRICS).records() if (folder / METRICS).exists() else []
        bits = [record["validation_bits"] for record in records if record.get("validation_bits") is not None]
        name = name_of(from_json(Run, values).data)
        measured = Yardsticks(**state["yardsticks"])
        return cls(name, state["step"], state["seconds"], bits[-1] if bits else None, measured)


def name_of(source: Source) -> str:
    """A source of sound without the place where it lies.

    >>> name_of(Recordings(path="/home/ada/music/piano"))
    'piano'
    """
    match source:
        case Recordings():
            return shown(Path(source.path).name)
        case TorchaudioSet():
            return f"torchaudio's {source.name}"
    return "a built-in plucked string"


def card(model: WaveNet, name: str, training: Training | None = None, licence: str | None = None) -> str:
    """The card of a model in a folder of that name; ``licence`` is the Hub's short form, such as cc-by-4.0."""
    parts = [
        _head(licence),
        f"# {_text(name)}",
        _introduction(model),
        _facts(model, training),
        "## How to use it",
        _use(model, name),
        "## What it cannot do",
        _limits(model),
        "## The weights",
        _weights(model),
    ]
    return "\n\n".join(parts) + "\n"


def _head(licence: str | None) -> str:
    lines = [f"library_name: {LIBRARY}", f"pipeline_tag: {PIPELINE}", "tags:", *(f"- {tag}" for tag in TAGS)]
    if licence is not None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", licence):
            raise InputError(f"--license {shown(licence)}: not a short name such as mit, apache-2.0 or cc-by-4.0")
        lines.append(f"license: {json.dumps(licence)}")
    return "\n".join(["---", *lines, "---"])


def _introduction(model: WaveNet) -> str:
    config = model.config
    told = " from a mel spectrogram" if isinstance(config.frames, Mel) else " from features" if config.frames else ""
    voice = f" in one of {len(config.labels.names)} voices" if config.labels else ""
    return (
        f"A causal [WaveNet](https://arxiv.org/abs/1609.03499) that makes sound{told}{voice}, sample by sample, each "
        "from the samples before it. Trained and exported with atrous; `config.json` and `model.safetensors` are all "
        "of it, and reading them runs no code."
    )


def _facts(model: WaveNet, training: Training | None) -> str:
    config, rate, scale = model.config, model.sample_rate, model.config.output.scale
    rows = []
    if training is not None:
        rows += [("trained on", f"{_text(training.data)}, {training.steps:,} steps, {clock(training.seconds)}")]
        if training.bits is not None:
            rows += [(f"bits per sample on held-back sound, of {scale}; lower is better", f"**{training.bits:.3f}**")]
        rows += [
            ("the same without a model: entropy of the samples alone", f"{training.yardsticks.order_0:.3f}"),
            ("the same of a linear predictor of order 32", f"{training.yardsticks.linear_32:.3f}"),
        ]
    rows += [
        ("sound", f"mono, {rate:,} Hz"),
        ("receptive field", f"{model.receptive_field:,} samples, {model.receptive_field / rate:.3f} s"),
        ("predicts", f"{type(config.output).__name__}, over {scale}"),
        ("network", f"{len(config.dilations)} layers, kernel {config.kernel_size}, {_channels(model)}"),
        ("parameters", f"{sum(parameter.numel() for parameter in model.parameters()):,}"),
    ]
    if config.labels:
        names = config.labels.names
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        rows.append(("voices", ", ".join(map(_text, names[:MOST_NAMES])) + more))
    if config.frames:
        what = "mel bands" if isinstance(config.frames, Mel) else "features"
        rows.append(("told", f"{config.frames.channels} {what} every {config.frames.hop} samples"))
    return "\n".join(["| | |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows)])


def _channels(model: WaveNet) -> str:
    config = model.config
    return f"{config.residual_channels} residual, {config.gate_channels} gate, {config.skip_channels} skip channels"


def _use(model: WaveNet, name: str) -> str:
    config, folder = model.config, re.sub(r"[^\w.-]", "-", name) or "model"
    flag = " --speaker NAME" if config.labels else ""
    speaker = f", speaker={json.dumps(config.labels.names[0])}" if config.labels else ""
    if isinstance(config.frames, Mel):
        command = f"wavenet vocode {folder} recording.flac{flag} -o copy.wav"
    elif config.frames:
        command = f"wavenet vocode {folder} features.npy{flag} -o sound.wav"
    else:
        command = f"wavenet generate {folder}{flag} --seconds 3 -o sound.wav"
    lines = ["from wavenet import WaveNet", "", f'model = WaveNet.from_pretrained("{folder}")']
    if config.frames:
        lines += [f"frames = ...  # float32 [{config.frames.channels}, f], a frame each {config.frames.hop} samples"]
        if isinstance(config.frames, Mel):
            lines[-1] = "frames = model.config.frames.of(wave)  # wave: a float32 tensor [t] in [-1, 1] at 16 kHz"
        lines += [f'model.generate(seconds=2, frames=frames{speaker}).save("sound.wav")']
    else:
        lines += [f'model.generate(seconds=2{speaker}).save("sound.wav")']
    return "\n".join(
        [
            f"With atrous installed and this folder as `{folder}` (from the Hub: "
            f"`hf download USER/{folder} --local-dir {folder}`):",
            "",
            f"```\n{command}\n```",
            "",
            "```python",
            *lines,
            "```",
        ]
    )


def _limits(model: WaveNet) -> str:
    config, seconds = model.config, model.receptive_field / model.sample_rate
    lines = [
        f"It hears {seconds:.2f} s of its own past and nothing before"
        + ("." if config.frames else ": no words, no melody longer than that, unless it is told of them."),
        "It knows the sounds it was trained on; others, other rooms and other voices it does worse or not at all.",
        f"Sound is mono at {model.sample_rate:,} Hz, so nothing above {model.sample_rate // 2:,} Hz."
        + (f" {config.output.classes} mu-law levels leave a faint hiss." if hasattr(config.output, "classes") else ""),
        "Where the recordings are someone's voice or music, ask whose, before sound made with it is published.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _weights(model: WaveNet) -> str:
    """A table of tensors, with the first block standing for all, and the arithmetic."""
    rows = [weight for weight in layout(model.config) if not re.match(r"blocks\.[1-9]", weight.name)]
    last = len(model.config.dilations) - 1
    table = ["| tensor | shape | meaning |", "|---|---|---|"]
    for weight in rows:
        name, shape = weight.name.replace("blocks.0.", "blocks.l."), " × ".join(map(str, weight.shape))
        table.append(f"| `{name}` | {shape} | {weight.meaning} |")
    return "\n\n".join(
        [
            f"`model.safetensors` holds float32 tensors; of blocks, l goes from 0 to {last}. Weights of layers are "
            "[out, in, taps], the oldest tap first.",
            "\n".join(table),
            forward(model.config),
        ]
    )


def _text(name: str) -> str:
    """A name as Markdown shows it: nothing in it is markup."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>&~])", r"\\\1", shown(name))
