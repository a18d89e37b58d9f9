"""``wavenet bench``: how fast each engine draws from this model here, and whether it draws the right sound."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from shared.errors import InputError
from wavenet.audio import RATE
from wavenet.conditioning import Condition
from wavenet.model import WaveNet
from wavenet.sampler import BLOCK, ENGINES, begin, uniforms
from wavenet.sampler.precision import PRECISIONS, rounded
from wavenet.sampler.reference import redrawn

COMPARED, COMPARED_STREAMS = 40, 2  # samples, of so many streams, that must be what the reference draws
LONG_ENOUGH = 1.0  # seconds of drawing behind a figure
FRAMES = 100  # that a clip is told, if the model takes any; the last one goes on


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
    """Until the first sample: laying out weights, priming; in an engine's first row also compiling or loading it."""


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
                        if count > number and engine == "compiled":
                            continue  # a stream is one thread's work
                        torch.set_num_threads(count)
                        try:
                            yield _measured(model, engine, precision, number, count)
                        except InputError as error:
                            say(f"{engine} left out: {error}")
    finally:
        torch.set_num_threads(before)


def _measured(model: WaveNet, engine: str, precision: str, streams: int, threads: int) -> Measurement:
    network = rounded(model, precision)
    begun = time.perf_counter()
    with torch.inference_mode():
        told = anything(model, streams)
        sampler = begin(network, engine, streams=streams, condition=told)
        wave = [sampler.draw(uniforms(range(streams), 1).to(model.device)).cpu()]
        startup = time.perf_counter() - begun
        at, many, begun = 1, 4, time.perf_counter()
        while (elapsed := time.perf_counter() - begun) < LONG_ENOUGH:
            block = sampler.draw(uniforms(range(streams), many, at).to(model.device)).cpu()
            wave += [block] if at < COMPARED else []
            at, many = at + many, min(2 * many, BLOCK)
    pace = (at - 1) / elapsed
    drawn = torch.cat(wave, dim=1)[:COMPARED_STREAMS, :COMPARED]
    numbers, compared = uniforms(range(len(drawn)), drawn.shape[1]), anything(model, len(drawn))
    apart = redrawn(network, numbers, drawn, condition=compared.to(model.device)) - drawn
    return Measurement(
        engine=engine,
        precision=precision,
        streams=streams,
        threads=threads,
        samples_per_second=round(pace * streams, 1),
        real_time_factor=round(pace / RATE, 4),
        agrees_with_reference=bool((apart.abs() <= model.config.output.slack).all()),
        startup_seconds=round(startup, 3),
    )


def anything(model: WaveNet, streams: int) -> Condition:
    """Something to tell so many clips, each something else: voices in turn, and frames as loud as usual, of noise."""
    labels, frames = model.config.labels, model.config.frames
    label = torch.arange(streams) % len(labels.names) if labels else None
    if not frames:
        return Condition(label)
    noise = [torch.randn(frames.channels, FRAMES, generator=torch.Generator().manual_seed(at)) for at in range(streams)]
    return Condition(label, frames.mean + frames.deviation * torch.stack(noise))
