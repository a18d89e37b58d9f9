"""What the sampling benchmark compares: every engine, the yardsticks, their work, and what coarser weights cost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from recipes.benchmarks.machine import using_threads
from recipes.benchmarks.public_style import PublicStyleSampler, PublicStyleWaveNet
from shared.config import from_json
from shared.training import checkpoint
from wavenet.data import Recordings
from wavenet.evaluate import bits_per_sample
from wavenet.model import WaveNet, WaveNetConfig
from wavenet.run import Run
from wavenet.sampler import ENGINES, Sampler, begin, uniforms
from wavenet.sampler.precision import PRECISIONS, rounded

YARDSTICK, FLATTENED = "public style", "public style, flattened"
ROUNDED = {f"compiled, {precision}": precision for precision in PRECISIONS if precision != "float32"}

Begin = Callable[[Tensor], Sampler]
"""Clips behind ``prompts [b, p]``, ready to draw; ``p`` may be 0."""


def contenders(model: WaveNet, public: PublicStyleWaveNet) -> dict[str, Begin]:
    """Every engine there is, and the yardsticks."""
    coarse = {name: rounded(model, precision) for name, precision in ROUNDED.items()}

    def engine(network: WaveNet, name: str) -> Begin:
        return lambda prompts: begin(network, name, prompts, len(prompts))

    def yardstick(convolve: bool) -> Begin:
        def start(prompts: Tensor) -> Sampler:
            sampler = PublicStyleSampler(public, len(prompts), convolve=convolve)
            sampler.hear(prompts)
            return sampler

        return start

    return {
        **{name: engine(model, name) for name in ENGINES},
        **{name: engine(network, "compiled") for name, network in coarse.items()},
        YARDSTICK: yardstick(True),
        FLATTENED: yardstick(False),
    }


def multiply_adds(config: WaveNetConfig) -> int:
    """Of one sample."""
    r, gate, s = config.residual_channels, config.gate_channels, config.skip_channels
    layers, half = len(config.dilations), gate // 2
    blocks = layers * (config.kernel_size * r * gate + half * s) + (layers - 1) * half * r
    return blocks + s * s + s * config.output.classes


def readings(streams: int, threads: int) -> int:
    """How often the compiled engine reads its weights for a sample of every stream: streams go by 8, 4, 2 and 1."""
    shares = [streams // threads + (at < streams % threads) for at in range(min(streams, threads))]
    return sum(share // 8 + (share % 8).bit_count() for share in shares)


@torch.inference_mode()
def agreeing(start: Begin, expected: Tensor, prompts: Tensor) -> tuple[int, int]:
    """How many samples are the reference's up to the first in each stream that is not, and of how many.

    ``expected [r, t]`` is what the reference drew for the first prompts; further prompts run beside them, for an
    engine may take another path for more streams.
    """
    drawn = start(prompts).draw(uniforms(range(len(prompts)), expected.shape[1]))
    same = drawn[: len(expected)] == expected[: len(drawn)]
    return int(same.long().cumprod(dim=1).sum()), same.numel()


def costs(run: Path, data: Path) -> list[str]:
    """Bits per sample of a trained model at each precision: on what its run held back, if it was trained on DATA."""
    model = WaveNet.from_pretrained(run)
    share = from_json(Run, checkpoint.load_config(run)).train.validation
    tracks = Recordings(path=str(data.resolve())).load(share, None)
    known = checkpoint.training_state(run).get("data") == tracks.fingerprint
    chosen, part = (tracks.validation, "held-back part") if known else (tracks.whole, "all")
    with using_threads(os.cpu_count() or 1):
        bits = {name: bits_per_sample(rounded(model, name), chosen).bits for name in PRECISIONS}
    each = ", ".join(f"{name} {value:.4f} ({value - bits['float32']:+.4f})" for name, value in bits.items())
    return [f"Bits per sample of a trained model ({run.name}, {part} of {data.name}): {each}."]
