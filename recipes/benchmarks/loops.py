"""Training loops to be held against each other: ours and the usual public one, a step at a time, each with its clock.

``ours``                        our trainer's defaults: excerpts behind whole context, AdamW, a cosine over the budget,
                                averaged weights, bfloat16 products where the processor has them
``public network, our loop``    the same loop around a convolution a layer, in float32: what the network alone costs
``public, Adam 0.001``/``0.0002``  the usual loop: one-hot crops, the loss over their full length, a constant rate, no
                                clipping, float32, the last weights

All are the same network (``recipes.benchmarks.public_style``). The usual loop, as found: r9y9/wavenet_vocoder
(``hparams.py``, a35fff7) has Adam 1e-3, eps 1e-8, no decay, no clipping, 8 crops of 10,240, half the rate every
200,000 steps; ibab/tensorflow-wavenet (``train.py``, 3c973c0) Adam 1e-3 and one piece of up to 100,000 samples;
vincentherrmann/pytorch-wavenet (``wavenet_training.py``, 26ba289) Adam 1e-3, by its script 1e-4. Here it takes one
crop, for the most steps in a short time, and leaves out r9y9's average of decay 0.9999, which after so few would hold
little but first weights.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from recipes.benchmarks.public_style import PublicStyleWaveNet
from shared.training.average import WeightAverage
from shared.training.loop import optimise, warmup_cosine
from shared.training.machine import device_named, precision_named
from shared.training.session import decayed
from wavenet.data.excerpts import Batch, Excerpts
from wavenet.data.tracks import Track, Tracks
from wavenet.evaluate import bits_per_sample
from wavenet.model import WaveNet, WaveNetConfig
from wavenet.run import TrainConfig
from wavenet.trainer import TABLES

USUAL_RATES = (1e-3, 2e-4)


class Learner:
    """A network in its training loop, with a clock of its own.

    ``steps`` is what ``optimise`` makes; it is asked for one step at a time. ``scored`` and ``complete`` are a step's
    targets as the loop counts them, and those with their whole receptive field in the crop.
    """

    def __init__(
        self,
        name: str,
        model: WaveNet | PublicStyleWaveNet,
        batches: Iterator[Batch],
        loss: Callable[[Batch], Tensor],
        optimizer: torch.optim.Optimizer,
        rate: Callable[[int, float], float],
        budget: float,
        *,
        scored: int,
        complete: int,
        precision: torch.dtype = torch.float32,
        clip: float = math.inf,
        average: WeightAverage | None = None,
    ):
        self.name, self.model, self.precision, self.average = name, model, precision, average
        self.scored, self.complete = scored, complete
        self.cpu = self.wall = 0.0
        self.step = 0
        self.curve: list[tuple[float, float]] = []
        """CPU minutes, and bits per sample then."""
        self.steps = optimise(
            model, loss, batches, optimizer,
            learning_rate=lambda step: rate(step, self.cpu / budget), clip=clip, precision=precision,
        )  # fmt: skip

    def learn(self, until: float) -> None:
        """Train until so many CPU seconds are used: those of all threads, the reading of sound among them."""
        while self.cpu < until:
            cpu, wall = time.process_time(), time.perf_counter()
            progress = next(self.steps)
            if self.average is not None and not progress.skipped:
                self.average.update(self.model)
            self.step = progress.step
            self.cpu += time.process_time() - cpu
            self.wall += time.perf_counter() - wall

    def bits(self, held: Sequence[Track], targets: int, most: int | None = None) -> float:
        """Bits per sample, by the one way in which everything here is scored."""
        with nullcontext() if self.average is None else self.average.swapped_in(self.model):
            model = self.model if isinstance(self.model, WaveNet) else as_wavenet(self.model)
            return bits_per_sample(model, held, targets=targets, most=most).bits


@torch.no_grad()
def as_wavenet(public: PublicStyleWaveNet) -> WaveNet:
    """The same network in our form, with copies of the weights: ``PublicStyleWaveNet.from_wavenet`` undone."""
    with torch.random.fork_rng(devices=[]):
        model = WaveNet(public.config)
    model.input.weight.copy_(public.input.weight[..., 0].t() + public.input.bias)
    for layer, block in zip(public.layers, model.blocks, strict=True):
        block.dilated.weight.copy_(torch.cat([layer.filter.weight, layer.gate.weight]))
        block.dilated.bias.copy_(torch.cat([layer.filter.bias, layer.gate.bias]))
        if layer.residual is not None:
            block.residual.load_state_dict(layer.residual.state_dict())
    model.skip.weight.copy_(torch.cat([layer.skip.weight for layer in public.layers], dim=1))
    model.skip.bias.copy_(torch.stack([layer.skip.bias for layer in public.layers]).sum(0))
    model.hidden.load_state_dict(public.hidden.state_dict())
    model.output.load_state_dict(public.output.state_dict())
    return model


def by_our_loop(
    name: str,
    model: WaveNet | PublicStyleWaveNet,
    trained: TrainConfig,
    tracks: Tracks,
    budget: float,
    precision: torch.dtype,
    rate: Callable[[int, float], float] | None = None,
) -> Learner:
    """A network in the loop that ``wavenet train`` has, with CPU seconds for a budget; ``rate`` replaces its cosine."""
    field = model.config.receptive_field
    public = isinstance(model, PublicStyleWaveNet)

    def loss(batch: Batch) -> Tensor:
        nats = model.nll(batch.wave)
        return _mean(nats[:, field:] if public else nats, batch.weight)  # public style scores the context too

    def cosine(step: int, fraction: float) -> float:
        return warmup_cosine(trained.learning_rate, step, trained.warmup, fraction)

    targets = trained.batch * trained.targets
    return Learner(
        name, model, batches(tracks, field, trained.targets, trained.batch, trained.seed), loss,
        torch.optim.AdamW(decayed(model, trained.weight_decay, never=TABLES), fused=True), rate or cosine, budget,
        scored=targets, complete=targets, precision=precision, clip=trained.clip,
        average=WeightAverage(model, trained.ema),
    )  # fmt: skip


def batches(tracks: Tracks, context: int, targets: int, batch: int, seed: int) -> Iterator[Batch]:
    """Excerpts without end."""
    return map(Excerpts(tracks.train, context, targets, batch, seed).batch, itertools.count())


def contenders(config: WaveNetConfig, trained: TrainConfig, tracks: Tracks, crop: int, budget: float) -> list[Learner]:
    """All of them, with CPU seconds for a budget."""
    field = config.receptive_field
    if crop <= field:
        raise ValueError(f"a crop of {crop} samples leaves nothing to predict behind {field}")

    def by_the_usual_loop(rate: float) -> Learner:
        torch.manual_seed(trained.seed)
        model = PublicStyleWaveNet(config)

        def loss(batch: Batch) -> Tensor:
            return _mean(model.nll(batch.wave), batch.weight)

        optimizer, crops = torch.optim.Adam(model.parameters(), fused=True), batches(tracks, 0, crop, 1, trained.seed)
        return Learner(
            f"public, Adam {rate:g}", model, crops, loss, optimizer, lambda *_: rate, budget,
            scored=crop, complete=crop - field,
        )  # fmt: skip

    torch.manual_seed(trained.seed)
    model = WaveNet(config)
    public = PublicStyleWaveNet.from_wavenet(model)
    precision = precision_named(trained.precision, device_named("cpu"))
    return [
        by_our_loop("ours", model, trained, tracks, budget, precision),
        by_our_loop("public network, our loop", public, trained, tracks, budget, torch.float32),
        *(by_the_usual_loop(rate) for rate in USUAL_RATES),
    ]


def _mean(nats: Tensor, weight: Tensor) -> Tensor:
    return (nats * weight).sum() / weight.sum()
