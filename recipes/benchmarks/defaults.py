"""What the defaults are worth: each differs from them in one thing and gets the same CPU minutes of the same sound.

All take turns in slices of seconds, as in ``recipes.benchmarks.equal_minutes``: each has its own CPU clock, and its
learning rate follows the share of its own minutes. Bits per sample are of everything that is held back.

    uv run python -m recipes.benchmarks.defaults --data RECORDINGS/ --minutes 4 -o defaults.md
"""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recipes.benchmarks.equal_minutes import turns
from recipes.benchmarks.loops import Learner, by_our_loop
from recipes.benchmarks.machine import Machine, table, using_threads
from recipes.benchmarks.training import CROP, QUICK
from shared import cli
from shared.errors import InputError
from shared.files import write_file
from shared.schedules import exponential
from shared.training.loop import warmup_cosine
from shared.training.machine import device_named, keep_memory, precision_named
from shared.training.progress import ProgressLine
from wavenet.data.recordings import recordings
from wavenet.data.tracks import Tracks
from wavenet.model import PRESETS, WaveNet, WaveNetConfig
from wavenet.run import TrainConfig

Rate = Callable[[float], float]


@dataclass(frozen=True)
class Variant:
    """What differs from the defaults; ``shape`` is the share of the peak learning rate by the share of the budget."""

    name: str
    model: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    shape: Rate | None = None
    dropout: float = 0.0


def held_then_falling(done: float) -> float:
    """Constant, and over the last fifth straight down to 0 (Hägele et al. 2024, arXiv 2405.18392)."""
    return min(1.0, (1 - done) / 0.2)


VARIANTS = (
    Variant("the defaults"),
    Variant("kernel 3", {"kernel_size": 3}),
    Variant("kernel 3, dilations to 256", {"kernel_size": 3, "dilations": exponential(9, 2)}),
    Variant("channels 32 / 64 / 128", {"residual_channels": 32, "gate_channels": 64}),
    Variant("channels 64 / 128 / 256", {"residual_channels": 64, "gate_channels": 128, "skip_channels": 256}),
    Variant("channels 96 / 192 / 128", {"residual_channels": 96, "gate_channels": 192}),
    Variant("1 stack", {"dilations": exponential(10, 1)}),
    Variant("3 stacks", {"dilations": exponential(10, 3)}),
    Variant("2 stacks to 256", {"dilations": exponential(9, 2)}),
    Variant("4 stacks to 32", {"dilations": exponential(6, 4)}),
    Variant("a constant rate", shape=lambda _: 1.0),
    Variant("straight down", shape=lambda done: 1 - done),
    Variant("constant, then down", shape=held_then_falling),
    Variant("rate 0.004", train={"learning_rate": 4e-3}),
    Variant("rate 0.016", train={"learning_rate": 16e-3}),
    Variant("no weight decay", train={"weight_decay": 0.0}),
    Variant("weight decay 0.1", train={"weight_decay": 0.1}),
    Variant("dropout 0.05 of what the first block hears", dropout=0.05),
    Variant("no average", train={"ema": 0.0}),
)


class Dropped(WaveNet):
    """With dropout of what the first block hears."""

    dropout = 0.0

    def heard(self, wave: Tensor, prior: Tensor | None) -> Tensor:
        """The blocks' input, parts of it left out in training."""
        return F.dropout(super().heard(wave, prior), self.dropout, self.training)


def learner(variant: Variant, config: WaveNetConfig, trained: TrainConfig, tracks: Tracks, budget: float) -> Learner:
    """One of them at its start."""
    torch.manual_seed(trained.seed)
    model = Dropped(replace(config, **variant.model))
    model.dropout = variant.dropout
    model.train()
    trained = replace(trained, **variant.train)

    def rate(step: int, done: float) -> float:
        warm = warmup_cosine(trained.learning_rate, step, trained.warmup, 0.0)
        return warm * variant.shape(min(1.0, done))

    precision = precision_named(trained.precision, device_named("cpu"))
    return by_our_loop(variant.name, model, trained, tracks, budget, precision, rate if variant.shape else None)


def chosen(names: Sequence[str] | None) -> Iterator[Variant]:
    """Those whose names hold one of the words, and always the defaults first."""
    for variant in VARIANTS:
        if names is None or variant is VARIANTS[0] or any(name in variant.name for name in names):
            yield variant


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, score, print the table."""
    parser = cli.Parser(prog="benchmarks.defaults", description=__doc__)
    parser.add_argument("--data", required=True, metavar="DIR", help="a folder of recordings")
    parser.add_argument("--minutes", type=cli.positive_float, default=4.0, help="CPU minutes of each (default: 4)")
    parser.add_argument("--slice", type=cli.positive_float, default=20.0, metavar="S", help="CPU seconds of a turn")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="the variants with one of these words in their name")
    parser.add_argument("--preset", choices=PRESETS, default="small", help="which network (default: small)")
    parser.add_argument("--quick", action="store_true", help="a toy network: the figures mean nothing")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="write the table there too")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    given = parser.parse_args(arguments)
    return cli.run(parser.prog, lambda: _run(given), given.debug)


def _run(given: Namespace) -> int:
    machine = Machine.here([1])
    keep_memory()
    config, trained, network = PRESETS[given.preset], TrainConfig(), f"`{given.preset}`"
    if given.quick:
        config, trained, network = QUICK, TrainConfig(targets=256), "A toy network"
    with using_threads(1), ProgressLine("benchmarks.defaults", given.quiet) as line:
        tracks = recordings(given.data).load(trained.validation)
        if not tracks.validation:
            raise InputError(f"{given.data}: nothing left to score on; give at least two recordings")
        budget = 60 * given.minutes
        all_of_them = [learner(each, config, trained, tracks, budget) for each in chosen(given.only)]
        for until, _ in turns(budget, marks=1, longest=given.slice):
            for each in all_of_them:
                line.update(until / budget, each.name)
                each.learn(until)
        found = [(each, each.bits(tracks.validation, CROP)) for each in all_of_them]
        train, held = tracks.minutes
    text = "\n\n".join(
        [
            f"## {network}, one thing changed at a time, {given.minutes:g} CPU minutes each",
            machine.markdown(),
            table(rows(found)),
            f"{train:.1f} minutes to train on, {held:.1f} held back; {trained.batch} excerpts of {trained.targets} "
            f"a step, seed {trained.seed}.",
        ]
    )
    print(text)
    if given.out is not None:
        write_file(given.out, text + "\n")
    return 0


def rows(found: Sequence[tuple[Learner, float]]) -> list[dict[str, str]]:
    """The table, the best first; the others' distance is from the defaults."""
    (_, usual), *_ = found
    return [
        {
            "what": each.name,
            "bits per sample": f"**{bits:.3f}**" if each.name == VARIANTS[0].name else f"{bits:.3f}",
            "against the defaults": "" if each.name == VARIANTS[0].name else f"{bits - usual:+.3f}",
            "steps": f"{each.step:,}",
            "weights": f"{sum(weight.numel() for weight in each.model.parameters()):,}",
        }
        for each, bits in sorted(found, key=lambda one: one[1] if math.isfinite(one[1]) else math.inf)
    ]


if __name__ == "__main__":
    sys.exit(main())
