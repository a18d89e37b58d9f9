"""``wavenet bench``: how fast each engine draws from this model here, and whether it draws the right sound."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from shared.errors import InputError
from wavenet.audio import RATE
from wavenet.model import WaveNet
from wavenet.sampler import ENGINES, generate, stream
from wavenet.sampler.precision import PRECISIONS

COMPARED, COMPARED_STREAMS = 40, 2  # samples, of so many streams, that must equal the reference's
LONG_ENOUGH = 1.0  # seconds of drawing behind a figure


@dataclass(frozen=True)
class Measurement:
    """One row; the fields are the keys of ``--json``."""

    engine: str
    precision: str
    streams: int
    threads: int
    samples_per_second: float
    """Of all streams together."""
    real_time_factor: float
    """Seconds of sound that each stream gains in a second."""
    agrees_with_reference: bool
    startup_seconds: float
    """Until the first block: compiling or loading the engine, laying out weights, priming."""


def bench(
    model: WaveNet, streams: Sequence[int], threads: Sequence[int], say: Callable[[str], None]
) -> Iterator[Measurement]:
    """Measure every engine that runs here, in every precision that it gains from."""
    before = torch.get_num_threads()
    try:
        for number in streams:
            for engine in ENGINES:
                for precision in PRECISIONS if engine == "compiled" else PRECISIONS[:1]:
                    for count in threads:
                        torch.set_num_threads(count)
                        try:
                            yield _measured(model, engine, precision, number, count)
                        except InputError as error:
                            say(f"{engine} left out: {error}")
    finally:
        torch.set_num_threads(before)


def _measured(model: WaveNet, engine: str, precision: str, streams: int, threads: int) -> Measurement:
    seeds = range(streams)
    begun = time.perf_counter()
    blocks = stream(model, 3600 * RATE, seeds=seeds, engine=engine, precision=precision)
    first = next(blocks)
    startup = time.perf_counter() - begun
    samples, begun = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begun) < LONG_ENOUGH:
        samples += next(blocks).shape[1]
    pace = samples / elapsed
    some = seeds[:COMPARED_STREAMS]
    expected = generate(model, COMPARED, seeds=some, engine="reference", precision=precision)
    drawn = (
        generate(model, COMPARED, seeds=seeds, engine=engine, precision=precision)
        if engine != "reference"
        else expected
    )
    startup -= first.shape[1] / pace
    return Measurement(
        engine=engine,
        precision=precision,
        streams=streams,
        threads=threads,
        samples_per_second=round(pace * streams, 1),
        real_time_factor=round(pace / RATE, 4),
        agrees_with_reference=torch.equal(expected, drawn[: len(expected)]),
        startup_seconds=round(max(0.0, startup), 3),
    )
