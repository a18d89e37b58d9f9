"""The command that trains a run again, read off the run itself.

Flags say what they can. What they would make is then compared with the run, and whatever differs is set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from shared.config import to_json
from shared.run_report import assignment, differing, length
from wavenet.cli import parser
from wavenet.commands.demo import MODEL, TRAIN
from wavenet.commands.train import DEFAULT_PRESET, configured
from wavenet.conditioning import Frames, Labels
from wavenet.data import Plucks, TorchaudioSet
from wavenet.distributions import BY_NAME, Categorical
from wavenet.mel import Mel
from wavenet.model import PRESETS, WaveNetConfig
from wavenet.run import Run

FLAGS = {"trim": "--trim", "level": "--level"}  # of fields of the data
FOLLOWS = {"path", "step"}  # fields of the data that the command has already, or finds by itself


def command(run: Run, state: Mapping[str, Any] | None) -> list[str] | None:
    """What to type to train this again, in words; None where no command says it.

    >>> from wavenet.data import Recordings
    >>> command(Run(data=Recordings(path="/music"), model=PRESETS["tiny"]), None)
    ['wavenet', 'train', '/music', '--preset', 'tiny']
    """
    if isinstance(run.data, Plucks):
        seed = run.train.seed
        shown = Run(data=Plucks(seed=seed), model=MODEL, train=replace(TRAIN, seed=seed))
        words = ["wavenet", "demo", "--seed", str(seed), *length(state)]
        return words if to_json(run) == to_json(shown) else None
    told = [*(["--speakers", run.speakers] if run.speakers else []), *_model(run.model)]
    made = _told_alike(configured(parser().parse_args(["train", "DATA", *told]), Run(data=run.data)), run)
    read = ["--features", run.features] if run.features else []
    words = ["wavenet", "train", *_data(run), *length(state), *told, *read]
    for name, value, _ in differing(run, made):
        words += ["--seed", str(value)] if name == "train.seed" else assignment(name, value)
    return words


def _data(run: Run) -> Iterator[str]:
    if isinstance(run.data, TorchaudioSet):
        yield from (f"torchaudio:{run.data.name}", "--root", run.data.root)
        return
    yield run.data.path
    for name, value, _ in differing(run.data, type(run.data)(path="")):
        if name not in FOLLOWS:
            yield from (FLAGS[name], f"{value:g}") if name in FLAGS else assignment(f"data.{name}", value)


def _model(model: WaveNetConfig) -> Iterator[str]:
    """The nearest preset and the nearest output, where they are not the usual ones."""
    plain = replace(model, output=Categorical(), labels=None, frames=None)
    order = sorted(PRESETS, key=lambda name: (len(differing(plain, PRESETS[name])), name != DEFAULT_PRESET))
    if order[0] != DEFAULT_PRESET:
        yield from ("--preset", order[0])
    vocoder = isinstance(model.frames, Mel)
    if vocoder:
        yield "--mel"
    alike = {name: output for name, output in BY_NAME.items() if isinstance(model.output, type(output))}
    nearest = min(alike, key=lambda name: len(differing(model.output, alike[name])))
    if vocoder or BY_NAME[nearest] != Categorical():
        yield from ("--output", nearest)


def _told_alike(made: Run, run: Run) -> Run:
    """``made``, with what training reads off the data as in ``run``: names, and what features look like."""
    model, labels, frames = made.model, run.model.labels, run.model.frames
    if labels and labels.width == Labels(names=labels.names).width:
        model = replace(model, labels=labels)
    if run.features and isinstance(frames, Frames):
        seen = Frames(channels=frames.channels, mean=frames.mean, deviation=frames.deviation)
        model = replace(model, frames=seen)
    return replace(made, model=model, features=run.features)
