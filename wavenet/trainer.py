"""Training, top to bottom: a run value in, a run folder out (``shared.training.session`` says what lies there)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.config import from_json, to_json
from shared.errors import InputError
from shared.training.loop import warmup_cosine
from shared.training.progress import ProgressLine
from shared.training.session import PREVIEWS, Place, Session, claim, decayed, saved
from shared.training.settings import Plan
from wavenet import figures
from wavenet.conditioning import Condition, Labels
from wavenet.data.conditions import Conditions, labels_of
from wavenet.data.excerpts import Batch, Excerpts
from wavenet.data.tracks import Tracks
from wavenet.evaluate import bits_per_sample
from wavenet.model import WaveNet, WaveNetConfig
from wavenet.run import CURVE, Outcome, Run
from wavenet.sampler import stream
from wavenet.wav import WavWriter
from wavenet.yardsticks import Yardsticks, yardsticks


def start(run: Run, folder: Path, plan: Plan, *, overwrite: bool = False) -> Outcome:
    """Train a new model into ``folder``, which must be empty or absent unless ``overwrite``."""
    claim(folder, plan, overwrite=overwrite)
    return _train(run, folder, plan, state=None)


def resume(folder: Path, plan: Plan) -> Outcome:
    """Go on with the run of ``folder``.

    With the steps that it was started with, on the same data, CPU and number of threads, it ends bit for bit as if it
    had not stopped. A budget in minutes follows the clock, which no two runs share.
    """
    values, state = saved(folder)
    return _train(from_json(Run, values), folder, plan, state)


def _train(run: Run, folder: Path, plan: Plan, state: dict[str, Any] | None) -> Outcome:
    config = run.train
    place = Place.of(config, plan, state)
    with ProgressLine("training", plan.quiet) as line:
        tracks = _loaded(run, line)
        labels = labels_of([*tracks.train, *tracks.validation], run.speakers) if run.speakers else {}
        run = replace(run, model=_named(run.model, labels))
        conditions = Conditions(run.model, labels, run.features)
        conditions.check([*tracks.train, *tracks.validation])
        torch.manual_seed(config.seed)
        model = WaveNet(run.model).to(place.device)
        groups = decayed(model, config.weight_decay, never=("input.",))  # a table, not a matrix
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
        fingerprint = tracks.fingerprint
        same = state is not None and state.get("data") == fingerprint
        if state is not None and not same:
            line.say("the data are not what they were when this run was saved: going on with what is there now")
        measured = Yardsticks(**state["yardsticks"]) if same else _measured(run, tracks)
        stated = {"yardsticks": asdict(measured), "data": fingerprint}
        bits_of = ("bits", 1 / math.log(2))
        session = Session(folder, config, plan, place, model, optimizer, line, state, stated=stated, unit=bits_of)
        line.say(_introduction(model, tracks, measured, place, config.seed))
        excerpts = Excerpts(tracks.train, model.receptive_field, config.targets, config.batch, config.seed, conditions)

        def loss(batch: Batch) -> Tensor:
            return (model.nll(batch.wave, batch.condition) * batch.weight).sum() / batch.weight.sum()

        def batches() -> Iterator[Batch]:
            for at in itertools.count(session.first * config.accumulate):
                yield excerpts.batch(at).to(place.device)

        def learning_rate(step: int, fraction: float) -> float:
            return warmup_cosine(config.learning_rate, step, config.warmup, fraction)

        def evaluate() -> dict[str, float]:
            held, size = tracks.validation, config.targets
            found = bits_per_sample(model, held, targets=size, most=config.excerpts, conditions=conditions)
            return {"validation_bits": found.bits}

        # a preview says what the first held-back recording says, in the voice that it has
        told = conditions.of([(tracks.validation[0], 0)], 0, round(config.preview_seconds * model.sample_rate))
        session.open(to_json(run), [folder / CURVE, *(folder / PREVIEWS).glob("step-*.wav")])
        size = config.accumulate * config.batch * config.targets
        bits = math.nan
        with session:
            for _ in session.steps(loss, batches(), learning_rate, "samples", size):
                if session.evaluation_due():
                    bits = session.look(evaluate)["validation_bits"]
                    line.say(
                        f"step {session.step:6} · {session.smooth:.3f} bits training · {bits:.3f} validation · "
                        f"{session.note}"
                    )
                if session.preview_due():
                    _preview(session, config.preview_seconds, config.seed, told)
            stopped = session.stopped  # what is asked from here on comes too late: little is left
            if not stopped:
                bits = session.look(evaluate)["validation_bits"]
                if config.previews:
                    _preview(session, config.preview_seconds, config.seed, told)
        figures.curve(session.journal.records(), measured, folder / CURVE)
        return Outcome(folder, session.step, session.budget.elapsed, bits, measured, stopped)


def _preview(session: Session, seconds: float, seed: int, told: Condition) -> None:
    """A sound of the averaged weights, named by its step."""
    folder, model = session.folder / PREVIEWS, session.model
    folder.mkdir(exist_ok=True)
    with (
        session.average.swapped_in(model),
        WavWriter(folder / f"step-{session.step:06}.wav", overwrite=True) as file,
    ):
        for block in stream(model, round(seconds * model.sample_rate), seeds=[seed], condition=told):
            file.write(block[0].numpy())
            if session.stopped:
                break


def _loaded(run: Run, line: ProgressLine) -> Tracks:
    tracks = run.data.load(run.train.validation, lambda done, total: line.update(done / total, "reading the data"))
    for remark in tracks.remarks:
        line.say(remark)
    if not tracks.validation:
        raise InputError("nothing left to validate on: give at least two recordings, or one longer one")
    return tracks


def _named(config: WaveNetConfig, labels: Mapping[str, str]) -> WaveNetConfig:
    """The shape with the names of these labels; on resuming it has them already."""
    names = tuple(sorted(set(labels.values())))
    if config.labels:
        if not names:
            raise InputError("the model knows speakers; say by --speakers who speaks in each recording")
        return config
    if len(names) == 1:
        raise InputError(f"--speakers: all recordings have the label {names[0]}; leave the flag out")
    if names:
        return replace(config, labels=Labels(names=names))
    return config


def _measured(run: Run, tracks: Tracks) -> Yardsticks:
    config = run.train
    return yardsticks(tracks.train, tracks.validation, run.model.output, targets=config.targets, most=config.excerpts)


def _introduction(model: WaveNet, tracks: Tracks, measured: Yardsticks, place: Place, seed: int) -> str:
    train, held = tracks.minutes
    parameters = sum(parameter.numel() for parameter in model.parameters())
    seconds = model.receptive_field / model.sample_rate
    return (
        f"data: {train:.1f} minutes to train on, {held:.1f} held back\n"
        f"model: {parameters:,} parameters, receptive field {model.receptive_field} samples ({seconds:.3f} s), "
        f"{place}, seed {seed}\n"
        f"to beat, in bits per sample on the held-back sound, of {model.config.output.scale}: "
        f"{measured.order_0:.3f} (order-0 entropy), {measured.linear_32:.3f} (linear predictor of order 32)"
    )
