"""How fast does each engine draw sound, beside a sampler written the public way, and do they all draw the same?

What a clip costs is two figures: the time to its first sample, which holds all that an engine does beforehand, and
samples a second from there on. Rounds are as long as each engine needs for a fair reading, so the reference gets a few
samples and a fast engine many. Contenders take turns.

    uv run python -m recipes.benchmarks.sampling -o sampling.md
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from recipes.benchmarks.drawing import (
    FLATTENED,
    ROUNDED,
    YARDSTICK,
    Begin,
    agreeing,
    contenders,
    costs,
    multiply_adds,
    readings,
)
from recipes.benchmarks.machine import (
    Machine,
    Timing,
    alternating,
    ceiling,
    common_flags,
    publish,
    reading,
    using_threads,
)
from recipes.benchmarks.public_style import pair
from shared import cli
from shared.errors import InputError
from shared.schedules import exponential
from shared.training.progress import ProgressLine
from wavenet.audio import RATE
from wavenet.model import PRESETS, WaveNetConfig
from wavenet.sampler import run, uniforms
from wavenet.sampler.compiled import Weights
from wavenet.sampler.precision import rounded

ROUNDS = 5
QUICK = WaveNetConfig(dilations=exponential(4, 2), residual_channels=16, gate_channels=32, skip_channels=16)
SLOW = {"reference": 16}  # no longer clips from these: minutes would not make their figure better
LONGEST = 60 * RATE
COMPARED = 32  # samples, in each of COMPARED_STREAMS
COMPARED_STREAMS = 2


@dataclass(frozen=True)
class Row:
    """One contender's figures."""

    engine: str
    preset: str
    streams: int
    threads: int
    samples: int
    """Of each clip, drawn in each round."""
    first_sample_seconds: float
    samples_per_second: float
    """After the first, of all streams together."""
    spread: float
    """(slowest − fastest) / median."""
    real_time: float
    """Seconds of sound a second, of each stream."""
    times_yardstick: float
    times_cached: float
    multiply_adds: float
    """A second, in 10⁹."""
    weight_bytes: float
    """Read a second, in 10⁹; 0 where it is not known how often they are read."""
    agreeing: int
    """Samples up to the first that differs from the reference's, over the compared streams."""
    compared: int


class Growing:
    """Clips from silence that a contender goes on drawing, so that only drawing is timed."""

    def __init__(self, start: Begin, streams: int):
        self.sampler, self.streams, self.at = start(torch.zeros(streams, 0)), streams, 0

    def draw(self, samples: int) -> None:
        """So many samples more."""
        self.sampler.draw(uniforms(range(self.streams), samples, self.at))
        self.at += samples

    def enough(self, seconds: float, most: int) -> int:
        """How many samples take about so long; what a process pays only once, such as a compiler, is paid here."""
        self.draw(1)
        samples = 1
        while True:
            began = time.perf_counter()
            self.draw(samples)
            if (took := time.perf_counter() - began) > seconds / 4 or samples >= most:
                return min(most, max(1, round(samples * seconds / took)))
            samples = min(most, 4 * samples)


@torch.inference_mode()
def measure(
    preset: str,
    config: WaveNetConfig,
    streams: Sequence[int],
    threads: int,
    rounds: int,
    seconds: float,
    progress: Callable[[str], None],
) -> tuple[list[Row], list[str]]:
    """All contenders on one network, for each number of streams; and what there is to remark."""
    model, public = pair(config)
    model.eval()
    starts = contenders(model, public)
    field = config.receptive_field
    prompts = torch.rand(max(COMPARED_STREAMS, *streams), field, generator=torch.Generator().manual_seed(1)) * 2 - 1
    rows: list[Row] = []
    remarks: list[str] = []
    with using_threads(threads):
        progress(f"{preset}: what the reference draws")
        compared = prompts[:COMPARED_STREAMS]
        numbers = uniforms(range(len(compared)), COMPARED)
        expected = starts["reference"](compared).draw(numbers)
        right = {  # for rounded weights
            name: run(rounded(model, precision), numbers, compared, engine="reference")
            for name, precision in ROUNDED.items()
        }
        agreement = {  # the prompt step by step: once will do
            name: agreeing(starts[name], expected, compared) for name in (YARDSTICK, FLATTENED)
        }
        size = {"compiled": Weights.of(model).products.nbytes}
        size |= {name: Weights.of(rounded(model, precision)).products.nbytes for name, precision in ROUNDED.items()}
        for count in streams:
            growing, lengths = {}, {}
            for name, start in starts.items():
                if name == "reference" and count > 1:
                    continue  # minutes, to say again that it is slow
                progress(f"{preset}, {count} stream(s): trying {name}")
                try:
                    clips = Growing(start, count)
                    lengths[name] = clips.enough(seconds, SLOW.get(name, LONGEST))
                    if name not in (YARDSTICK, FLATTENED, "reference"):
                        agreement[name] = agreeing(start, right.get(name, expected), prompts[:count])
                except InputError as reason:
                    remarks.append(f"{name} is left out ({preset}, {count} stream(s)): {reason}")
                    continue
                growing[name] = clips
            progress(f"{preset}, {count} stream(s): measuring")
            firsts = alternating({name: partial(_first, starts[name], count) for name in growing}, 1)
            times = alternating({name: partial(clips.draw, lengths[name]) for name, clips in growing.items()}, rounds)
            first = {name: Timing.of(each).seconds for name, each in firsts.items()}
            rest = {name: Timing.of(each) for name, each in times.items()}
            rates = {name: count * lengths[name] / timing.seconds for name, timing in rest.items()}
            for name, timing in rest.items():
                same, of = agreement.get(name, (0, 0))
                rows.append(
                    Row(
                        engine=name,
                        preset=preset,
                        streams=count,
                        threads=threads,
                        samples=lengths[name],
                        first_sample_seconds=first[name],
                        samples_per_second=rates[name],
                        spread=timing.spread,
                        real_time=rates[name] / count / RATE,
                        times_yardstick=rates[name] / rates[YARDSTICK],
                        times_cached=rates[name] / rates["cached"],
                        multiply_adds=rates[name] * multiply_adds(config) / 1e9,
                        weight_bytes=size.get(name, 0) * readings(count, threads) * rates[name] / count / 1e9,
                        agreeing=same,
                        compared=of,
                    )
                )
    return rows, remarks


def cells(row: Row) -> dict[str, str]:
    """A row of the table."""
    return {
        "engine": row.engine,
        "preset": row.preset,
        "streams": str(row.streams),
        "threads": str(row.threads),
        "samples/s, all streams": f"{row.samples_per_second:,.0f}" if row.samples_per_second >= 100
        else f"{row.samples_per_second:.3g}",
        "spread": f"{row.spread:.0%}",
        "× real time, each stream": f"{row.real_time:.3g}",
        "× public style": f"{row.times_yardstick:.3g}",
        "× cached": f"{row.times_cached:.3g}",
        "10⁹ multiply-adds/s": f"{row.multiply_adds:.3g}",
        "GB/s of weights": f"{row.weight_bytes:.3g}" if row.weight_bytes else "–",
        "ms to the first sample": f"{1e3 * row.first_sample_seconds:,.1f}",
        "samples a round": f"{row.samples:,}",
        "as the reference": f"{row.agreeing}/{row.compared}" if row.compared else "is it",
    }  # fmt: skip


def ceilings(threads: int, quick: bool) -> str:
    """What this machine can do with so many threads, in this run."""
    multiply = ceiling(torch.float32, threads, **({"rounds": 1, "square": 256, "rows": 512} if quick else {}))
    read = reading(threads, **({"rounds": 1, "numbers": 10_000} if quick else {}))
    return (
        f"Ceilings with {threads} thread(s), measured in this run: {multiply.gflops / 2:.0f} · 10⁹ multiply-adds/s in "
        f"float32 ({multiply.by}); {read.gflops:.0f} GB/s of weights in a matrix-vector product as large as base's "
        f"float32 weights ({read.by})."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table."""
    parser = cli.Parser(prog="benchmarks.sampling", description=__doc__)
    parser.add_argument(
        "--preset", choices=PRESETS, nargs="+", default=["tiny", "small", "base"], help="which networks"
    )
    parser.add_argument("--streams", type=cli.positive, nargs="+", default=[1, 8, 32], metavar="N")
    parser.add_argument("--seconds", type=cli.positive_float, default=1.0, help="of one clip, roughly (default: 1)")
    parser.add_argument(
        "--trained", type=Path, nargs=2, metavar=("RUN", "DATA"),
        help="measure also what each precision costs a trained model, in bits per sample on recordings",
    )  # fmt: skip
    common_flags(parser, threads=[1], rounds=ROUNDS)
    given = parser.parse_args(arguments)
    return cli.run(parser.prog, lambda: _run(given), given.debug)


def _run(given: Namespace) -> int:
    machine = Machine.here(given.threads)  # before anything here makes it busy
    networks = {name: PRESETS[name] for name in given.preset}
    rounds, seconds, streams = given.rounds or ROUNDS, given.seconds, given.streams
    if given.quick:
        networks, rounds, seconds, streams = {"toy": QUICK}, given.rounds or 2, 0.05, [1, 3]
    rows: list[Row] = []
    remarks: list[str] = []
    cost = costs(*given.trained) if given.trained else []
    cases = [(name, config, threads) for name, config in networks.items() for threads in given.threads]
    with ProgressLine("benchmarks.sampling", given.quiet) as line:
        line.update(0, "what this machine can do")
        limits = [ceilings(threads, given.quick) for threads in given.threads]
        for at, (name, config, threads) in enumerate(cases):
            more, remarked = measure(
                name, config, streams, threads, rounds, seconds, partial(line.update, at / len(cases))
            )
            rows += more
            remarks += remarked
    notes = [
        f"Clips begin in silence; each contender goes on with its own, about {seconds:g} s in each of {rounds} rounds, "
        f"all taking turns (the reference: at most {SLOW['reference']} samples). Samples/s is the median, spread "
        "(slowest − fastest) / median. The first sample holds all that is done beforehand; it is measured once.",
        "As the reference: samples equal to the reference's, up to the first that differs, drawn from the same "
        f"uniform numbers behind one receptive field of noise, in at most {COMPARED_STREAMS} streams; random weights. "
        "Rounded weights are held against the reference with the same rounded weights.",
        "Public style has the same weights and calls a convolution a layer; flattened, it calls products of weights "
        "laid out before. It starts from zeros, so its first sample needs no pass over silence.",
        *limits,
        *cost,
        *remarks,
    ]
    if given.quick:
        notes.insert(0, "A quick run: these figures mean nothing.")
    publish("Drawing sound", machine, rows, cells, notes, as_json=given.json, out=given.out)
    return 0


def _first(start: Begin, streams: int) -> None:
    Growing(start, streams).draw(1)


if __name__ == "__main__":
    sys.exit(main())
