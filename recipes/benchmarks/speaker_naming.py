"""Whose voice is it? A classifier trained on real clips names the speakers of generated ones.

It learns from what the run trained on, is tested on what the run held back, and then names what the run draws: of each
drawn sound the loudest stretch that is as long as a real clip, for real clips were cut out by someone too. Controls:
the real clips through mu-law (what a perfect model would reach), the generated ones held against another speaker's
label, and the real ones with their phases at random, which leaves each its spectrum and takes the voice away.

    uv run python -m recipes.benchmarks.speaker_naming runs/speakers --data DIGITS/ -o speaker_naming.md
"""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from recipes.benchmarks.machine import table
from recipes.benchmarks.speaker_classifier import EPOCHS, Share, Wave, named, trained
from shared import cli
from shared.config import from_json
from shared.errors import InputError
from shared.files import write_file
from shared.training import checkpoint, machine
from shared.training.progress import ProgressLine
from wavenet.audio import RATE
from wavenet.conditioning import Condition
from wavenet.data import Recordings
from wavenet.data.conditions import labels_of, whole
from wavenet.data.excerpts import evenly
from wavenet.data.recordings import recordings
from wavenet.data.tracks import Track
from wavenet.distributions import Drawing
from wavenet.distributions.mu_law import mu_law_decode, mu_law_encode
from wavenet.model import WaveNet
from wavenet.run import Run
from wavenet.sampler import generate

SHORTEST = 0.1  # seconds of a clip that says anything
AT_ONCE = 32  # clips drawn together


@dataclass(frozen=True, eq=False)
class Clips:
    """Sounds and whose they are, by number."""

    waves: list[Wave]
    speakers: list[int]

    def changed(self, how: Callable[[Wave], Wave]) -> Clips:
        """Each sound changed, of the same speaker."""
        return Clips([how(wave) for wave in self.waves], self.speakers)


def real(tracks: Sequence[Track], labels: dict[str, int], seconds: float) -> Clips:
    """Recordings cut into clips of at most so many seconds."""
    places = [
        (track, start, min(round(seconds * RATE), track.samples - start))
        for track, start in evenly(tracks, round(seconds * RATE))
    ]
    places = [place for place in places if place[2] >= SHORTEST * RATE]
    waves = [np.ascontiguousarray(track.read(start, samples)) for track, start, samples in places]
    return Clips(waves, [labels[whole(track)[0].name] for track, _, _ in places])


def drawn(
    model: WaveNet,
    like: Clips,
    count: int,
    seconds: float,
    drawing: Drawing,
    seed: int,
    progress: Callable[[float], None],
) -> Clips:
    """``count`` clips of each speaker, cut to the lengths of real ones of the same speaker, which take turns."""
    lengths: dict[int, list[int]] = {}
    for wave, speaker in zip(like.waves, like.speakers, strict=True):
        lengths.setdefault(speaker, []).append(len(wave))
    speakers = [speaker for speaker in sorted(lengths) for _ in range(count)]
    samples = [lengths[speaker][at % count % len(lengths[speaker])] for at, speaker in enumerate(speakers)]
    waves: list[Wave] = []
    for at in range(0, len(speakers), AT_ONCE):
        group = speakers[at : at + AT_ONCE]
        seeds, condition = range(seed + at, seed + at + len(group)), Condition(torch.tensor(group))
        found = generate(model, round(seconds * RATE), seeds=seeds, drawing=drawing, condition=condition)
        waves += [loudest(wave, samples[at + row]) for row, wave in enumerate(found.numpy())]
        progress(len(waves) / len(speakers))
    return Clips(waves, speakers)


def loudest(wave: Wave, samples: int) -> Wave:
    """The stretch of so many samples with the most power.

    >>> loudest(np.array([0, 0, 1, 3, 2, 0], np.float32), 2).tolist()
    [3.0, 2.0]
    """
    power = np.concatenate([[0], np.square(wave, dtype=np.float64).cumsum()])
    begin = int(np.argmax(power[samples:] - power[: len(power) - samples]))
    return wave[begin : begin + samples].copy()


def through_mu_law(wave: Wave) -> Wave:
    """As 8-bit codes have it."""
    return mu_law_decode(mu_law_encode(torch.from_numpy(wave))).numpy()


def phases_at_random(wave: Wave, random: np.random.Generator) -> Wave:
    """Noise with the spectrum of the whole clip."""
    spectrum = np.abs(np.fft.rfft(wave))
    turned = spectrum * np.exp(2j * np.pi * random.random(len(spectrum)))
    return np.fft.irfft(turned, len(wave)).astype(np.float32)


def share(clips: Clips, found: Sequence[int], off: int = 0, speakers: int = 1) -> Share:
    """How many are named as they are labelled, or as the speaker ``off`` places later."""
    wanted = [(each + off) % speakers if off else each for each in clips.speakers]
    return Share(sum(a == b for a, b in zip(wanted, found, strict=True)), len(found))


def confusion(clips: Clips, found: Sequence[int], names: Sequence[str]) -> list[dict[str, str]]:
    """Rows: who was asked for; columns: who was named."""
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (clips.speakers, list(found)), 1)
    return [
        {"asked for": name, **{other: str(number) for other, number in zip(names, row, strict=True)}}
        for name, row in zip(names, counts.tolist(), strict=True)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the classifier, draw, name, print."""
    parser = cli.Parser(prog="benchmarks.speaker_naming", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run trained with --speakers")
    parser.add_argument("--data", metavar="DATA", help="the recordings it was trained on, if they have moved")
    parser.add_argument("--clips", type=cli.positive, default=40, metavar="N", help="of each speaker (default: 40)")
    parser.add_argument("--seconds", type=cli.positive_float, default=1.0, help="that are drawn for each (default: 1)")
    parser.add_argument("--temperature", type=float, default=1.0, help="of the generated clips (default: 1)")
    parser.add_argument(
        "--epochs", type=cli.positive, default=EPOCHS, metavar="N", help=f"of the classifier (default: {EPOCHS})"
    )
    parser.add_argument("--json", action="store_true", help="JSON on stdout instead of the tables")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="write the tables there too")
    cli.seed_flag(parser, "of classifier and clips")
    cli.common_flags(parser)
    given = parser.parse_args(arguments)
    return cli.run(parser.prog, lambda: _run(given), given.debug)


def _run(given: Namespace) -> int:
    machine.use_threads(given.threads)
    folder, seed = Path(given.run), cli.seed_of(given)
    model, train, held, names = _loaded(folder, given.data, given.seconds)
    drawing = Drawing(temperature=given.temperature)
    with ProgressLine("benchmarks.speaker_naming", given.quiet) as line:
        began = time.perf_counter()
        listener = trained(
            list(zip(train.waves, train.speakers, strict=True)),
            len(names),
            epochs=given.epochs,
            seed=seed,
            progress=lambda done: line.update(done / 3, "learning real voices"),
        )
        learning = time.perf_counter() - began
        made = drawn(
            model,
            held,
            given.clips,
            given.seconds,
            drawing,
            seed,
            lambda done: line.update((1 + 2 * done) / 3, "drawing clips"),
        )
    random = np.random.default_rng(seed)
    found = named(listener, made.waves)
    shares = {
        "real, held back": share(held, named(listener, held.waves)),
        "the same through mu-law": share(held, named(listener, held.changed(through_mu_law).waves)),
        "**generated**": share(made, found),
        "generated, held against the next label": share(made, found, 1, len(names)),
        "real, phases at random": share(
            held, named(listener, held.changed(lambda wave: phases_at_random(wave, random)).waves)
        ),
    }
    rows = confusion(made, found, names)
    notes = [
        f"Classifier: {len(train.waves)} real clips of the training part, {given.epochs} epochs in {learning:.0f} s.",
        f"Run: step {checkpoint.training_state(folder)['step']}; {given.clips} clips of each speaker at temperature "
        f"{given.temperature:g}, from seed {seed} on: the loudest stretch of {given.seconds:g} s that is as long as a "
        "held-back clip.",
        f"Chance is {100 / len(names):.1f} %. In brackets: Wilson's interval at 95 %.",
    ]
    text = "\n\n".join(
        [
            "## Naming speakers",
            table([{"sounds": name, "clips": str(each.of), "named right": str(each)} for name, each in shares.items()]),
            "Generated clips, by who was asked for and who was named:",
            table(rows),
            "\n".join(f"- {note}" for note in notes),
        ]
    )
    if given.json:
        values = {name.strip("*"): {"right": each.right, "of": each.of, "interval": each.interval}
                  for name, each in shares.items()}  # fmt: skip
        print(json.dumps({"shares": values, "confusion": rows, "notes": notes}, indent=2))
    else:
        print(text)
    if given.out:
        write_file(given.out, text + "\n")
    return 0


def _loaded(folder: Path, data: str | None, seconds: float) -> tuple[WaveNet, Clips, Clips, tuple[str, ...]]:
    """The model, what its run trained on, what it held back, and the names of its speakers."""
    model, values = WaveNet.from_pretrained(folder), checkpoint.load_config(folder)
    if not model.config.labels or model.config.frames or "data" not in values:
        raise InputError(
            f"{folder}: is no run with speakers alone; train one with `wavenet train DATA --speakers name`"
        )
    run = from_json(Run, values)
    source = run.data
    if data and isinstance(source, Recordings):
        source = replace(source, path=recordings(data).path)
    tracks = source.load(run.train.validation, None)
    labels = labels_of([*tracks.train, *tracks.validation], run.speakers)
    numbers = {file: model.config.labels.index(name) for file, name in labels.items()}
    return (
        model,
        *(real(side, numbers, seconds) for side in (tracks.train, tracks.validation)),
        model.config.labels.names,
    )


if __name__ == "__main__":
    sys.exit(main())
