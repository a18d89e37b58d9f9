"""How fast does a network learn here, beside one written the public way and beside what the machine could do?

A step is the trainer's own (``shared.training.loop.optimise`` with fused AdamW: forward, backward, clip, update),
for all contenders, on the same weights and sound; the yardstick's case is one crop of 8192 samples. Contenders take
turns in one run. The work is counted from the configuration, so GFLOP/s can be held against the ceiling.

    uv run python -m recipes.benchmarks.training -o training.md
"""

from __future__ import annotations

import itertools
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recipes.benchmarks.machine import (
    Ceiling,
    Machine,
    Timing,
    alternating,
    ceiling,
    common_flags,
    publish,
    using_threads,
)
from recipes.benchmarks.public_style import PublicStyleWaveNet, pair
from shared import cli
from shared.schedules import exponential
from shared.training.loop import optimise
from shared.training.machine import keep_memory
from shared.training.progress import ProgressLine
from wavenet.model import PRESETS, WaveNet, WaveNetConfig
from wavenet.run import TrainConfig

CROP = 8192
ROUNDS = 7
QUICK = WaveNetConfig(dilations=exponential(4, 2), residual_channels=16, gate_channels=32, skip_channels=16)
YARDSTICK = "public style"


@dataclass(frozen=True)
class Contender:
    """A way to take a step: what it is shown, what it scores, what it computes."""

    name: str
    precision: torch.dtype
    model: WaveNet | PublicStyleWaveNet
    batch: int
    length: int
    """Samples of each crop, context and targets."""
    scored: int
    """Targets of a crop, as it counts them."""
    complete: int
    """Of them, those whose whole receptive field lies in the crop."""
    work: int
    """Multiply-adds of a step, forward and backward."""


@dataclass(frozen=True)
class Row:
    """One contender's figures."""

    contender: str
    precision: str
    threads: int
    step: Timing
    targets_per_second: float
    complete_targets_per_second: float
    multiply_adds_per_target: float
    gflops: float
    ceiling: Ceiling
    times_yardstick: float
    times_yardstick_complete: float

    @property
    def share(self) -> float:
        """Of the ceiling."""
        return self.gflops / self.ceiling.gflops


def layer_multiply_adds(config: WaveNetConfig) -> tuple[int, int, int]:
    """Multiply-adds of one row: of a dilated convolution, of a residual one, and of what only scored rows cost.

    The last is all layers' skips and the head. One predicted sample of the base preset takes 1.24 million in all
    (its last layer has no residual convolution, for nothing would use it).

    >>> dilated, residual, scored = layer_multiply_adds(WaveNetConfig())
    >>> 30 * dilated + 29 * residual + scored
    1232896
    """
    half = config.gate_channels // 2
    dilated = config.kernel_size * config.residual_channels * config.gate_channels
    skips = len(config.dilations) * half * config.skip_channels
    head = config.skip_channels * (config.skip_channels + config.output.channels)
    return dilated, half * config.residual_channels, skips + head


def multiply_adds(config: WaveNetConfig, targets: int) -> int:
    """Multiply-adds of a training step of ours on one excerpt, forward and backward.

    A layer computes only the rows that later layers or targets need: ``targets`` and the history of all layers
    behind it. The input layer is a table and multiplies nothing; each product has two gradients of its own cost.
    """
    dilated, residual, scored = layer_multiply_adds(config)
    total, rows = targets * scored, targets
    for at, dilation in enumerate(reversed(config.dilations)):
        total += rows * (dilated + (residual if at else 0))
        rows += (config.kernel_size - 1) * dilation
    return 3 * total


def multiply_adds_public_style(config: WaveNetConfig, length: int) -> int:
    """Multiply-adds of a training step of the yardstick on one crop: every layer computes every row.

    Its input is a convolution of one-hot columns, which are data and so take no gradient: twice, not three times.
    """
    dilated, residual, scored = layer_multiply_adds(config)
    layers = len(config.dilations)
    row = layers * dilated + (layers - 1) * residual + scored
    return length * (3 * row + 2 * config.output.classes * config.residual_channels)


def contenders(config: WaveNetConfig, crop: int, trained: TrainConfig) -> list[Contender]:
    """Ours on the yardstick's crop and on the trainer's batch, in both precisions, and the yardstick."""
    _, public = pair(config)
    field = config.receptive_field
    if crop <= field:
        raise ValueError(f"a crop of {crop} samples leaves nothing to predict behind {field}")
    found = []
    for name, batch, targets in (
        ("ours, one crop", 1, crop - field),
        ("ours, as trained", trained.batch, trained.targets),
    ):
        work = batch * multiply_adds(config, targets)
        for precision in (torch.float32, torch.bfloat16):
            twin, _ = pair(config)  # each its own weights: they are trained
            found.append(Contender(name, precision, twin, batch, field + targets, targets, targets, work))
    work = multiply_adds_public_style(config, crop)
    return [*found, Contender(YARDSTICK, torch.float32, public, 1, crop, crop, crop - field, work)]


def stepping(contender: Contender) -> Callable[[], object]:
    """A call that takes one training step."""
    generator = torch.Generator().manual_seed(0)
    wave = torch.rand(contender.batch, contender.length, generator=generator) * 2 - 1
    optimizer = torch.optim.AdamW(contender.model.parameters(), fused=True)

    def loss(wave: Tensor) -> Tensor:
        return contender.model.nll(wave).mean()

    steps = optimise(
        contender.model, loss, itertools.repeat(wave), optimizer,
        learning_rate=lambda _: 1e-4, precision=contender.precision,
    )  # fmt: skip
    return lambda: next(steps)


def measure(
    config: WaveNetConfig, crop: int, trained: TrainConfig, threads: int, rounds: int, products: dict[str, int]
) -> list[Row]:
    """All contenders with one number of threads; the ceilings are taken before and after, and the better counts.

    ``products`` are ``ceiling``'s settings.
    """
    field = contenders(config, crop, trained)
    precisions = {contender.precision for contender in field}
    with using_threads(threads):
        before = {dtype: ceiling(dtype, threads, **products) for dtype in precisions}
        calls = {f"{each.name} {each.precision}": stepping(each) for each in field}
        seconds = list(alternating(calls, rounds, again=1).values())
        best = {dtype: before[dtype].or_better(ceiling(dtype, threads, **products)) for dtype in precisions}
    timings = [Timing.of(each) for each in seconds]
    steps = list(zip(field, timings, strict=True))
    yardstick = next((each, timing) for each, timing in steps if each.name == YARDSTICK)
    return [_row(each, timing, yardstick, threads, best[each.precision]) for each, timing in steps]


def cells(row: Row) -> dict[str, str]:
    """A row of the table."""
    return {
        "contender": row.contender,
        "precision": row.precision,
        "threads": str(row.threads),
        "ms a step": f"{1e3 * row.step.seconds:,.1f}",
        "spread": f"{row.step.spread:.0%}",
        "targets/s, as each counts": f"{row.targets_per_second:,.0f}",
        "× public style": f"{row.times_yardstick:.2f}",
        "targets/s with complete context": f"{row.complete_targets_per_second:,.0f}",
        "× public style, complete": f"{row.times_yardstick_complete:.2f}",
        "M multiply-adds a target": f"{row.multiply_adds_per_target / 1e6:.4g}",
        "GFLOP/s": f"{row.gflops:.1f}",
        "share of the ceiling": f"{row.share:.1%}",
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table."""
    parser = cli.Parser(prog="benchmarks.training", description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="base", help="which network (default: base)")
    common_flags(parser, threads=sorted({1, os.cpu_count() or 1}), rounds=ROUNDS)
    given = parser.parse_args(arguments)
    return cli.run(parser.prog, lambda: _run(given), given.debug)


def _run(given: Namespace) -> int:
    machine = Machine.here(given.threads)  # before anything here makes it busy
    keep_memory()
    config, crop, trained = PRESETS[given.preset], CROP, TrainConfig()
    rounds, size, network = given.rounds or ROUNDS, {}, given.preset
    if given.quick:
        config, crop, trained, network = QUICK, 256, TrainConfig(targets=256), "a toy network"
        rounds, size = given.rounds or 2, {"rounds": 1, "square": 128, "rows": 256}
    rows: list[Row] = []
    with ProgressLine("benchmarks.training", given.quiet) as line:
        for at, threads in enumerate(given.threads):
            line.update(at / len(given.threads), f"{threads} thread(s)")
            rows += measure(config, crop, trained, threads, rounds, size)
    publish(
        f"Training steps, {network}", machine, rows, cells, _notes(config, crop, trained, rounds, rows, given.quick),
        as_json=given.json, out=given.out,
    )  # fmt: skip
    return 0


def _row(each: Contender, timing: Timing, yardstick: tuple[Contender, Timing], threads: int, highest: Ceiling) -> Row:
    def rates(contender: Contender, timing: Timing) -> tuple[float, float]:
        crops = contender.batch / timing.seconds
        return crops * contender.scored, crops * contender.complete

    (scored, complete), (scored_there, complete_there) = rates(each, timing), rates(*yardstick)
    return Row(
        contender=each.name,
        precision=str(each.precision).removeprefix("torch."),
        threads=threads,
        step=timing,
        targets_per_second=scored,
        complete_targets_per_second=complete,
        multiply_adds_per_target=each.work / (each.batch * each.scored),
        gflops=2 * each.work / timing.seconds / 1e9,
        ceiling=highest,
        times_yardstick=scored / scored_there,
        times_yardstick_complete=complete / complete_there,
    )


def _notes(
    config: WaveNetConfig, crop: int, trained: TrainConfig, rounds: int, rows: Sequence[Row], quick: bool
) -> list[str]:
    field = config.receptive_field
    ceilings = {(row.precision, row.threads): row.ceiling for row in rows}
    notes = [
        f"One crop is {crop} samples and the receptive field {field}: ours then scores the {crop - field} samples that "
        f"have complete context; public style scores all {crop}, of which the first {field} see zeros for a past. "
        f"As trained: {trained.batch} excerpts of {trained.targets} targets behind {field} samples of context.",
        "Multiply-adds a target are those really executed in a step, forward and backward, context included, over the "
        "targets as each counts; one is 2 FLOP. Nonlinearities, biases and the optimiser are not counted.",
        f"A step is forward, backward, clipping and fused AdamW; the median of {rounds} rounds in which all take "
        "turns; spread is (slowest − fastest) / median. All run with keep_memory(), public style too.",
        *(_ceiling_note(precision, threads, highest) for (precision, threads), highest in ceilings.items()),
    ]
    return ["A quick run: these figures mean nothing.", *notes] if quick else notes


def _ceiling_note(precision: str, threads: int, highest: Ceiling) -> str:
    others = "; ".join(f"{name}: {rate:.0f}" for name, rate in highest.each.items() if name != highest.by)
    return (
        f"Ceiling, {precision}, {threads} thread(s), best of before and after: {highest.gflops:.0f} GFLOP/s by "
        f"{highest.by} (others: {others})."
    )


if __name__ == "__main__":
    sys.exit(main())
