"""Training, top to bottom: a run value in, a run folder out (``shared.training.session`` says what lies there)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.cli import INTERRUPTED
from shared.config import from_json, to_json
from shared.errors import InputError
from shared.run_report import PAGE
from shared.training.entrance import Entrance
from shared.training.loop import warmup_cosine
from shared.training.processes import Team
from shared.training.progress import ProgressLine
from shared.training.session import PREVIEWS, Place, Session, decayed
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

TABLES = ("input.", "surprise.", "conditioning.label.", "conditioning.kernel")
"""Two-dimensional, but no matrices: weight decay is not for them."""


def start(run: Run, folder: Path, plan: Plan, *, overwrite: bool = False) -> Outcome:
    """Train a new model into ``folder``, which must be empty or absent unless ``overwrite``.

    Started by ``torchrun``, all processes train one model; what the first one is given, holds for all.
    """
    return ENTRANCE.start(run, folder, plan, overwrite=overwrite)


def resume(folder: Path, plan: Plan) -> Outcome:
    """Go on with the run of ``folder``.

    With the steps that it was started with, on the same data, CPU and number of threads, it ends bit for bit as if it
    had not stopped. A budget in minutes follows the clock, which no two runs share.
    """
    return ENTRANCE.resume(folder, plan)


def _train(run: Run, folder: Path, plan: Plan, state: dict[str, Any] | None, team: Team) -> Outcome:
    config = run.train
    place = Place.of(config, plan, state, team)
    with ProgressLine("training", plan.quiet or not team.leads) as line:
        with team.agreeing():
            tracks = _loaded(run, line)
            labels = labels_of([*tracks.train, *tracks.validation], run.speakers) if run.speakers else {}
            run = replace(run, model=_named(run.model, labels))
            conditions = Conditions(run.model, labels, run.features)
            conditions.check([*tracks.train, *tracks.validation])
            torch.manual_seed(config.seed)
            model = WaveNet(run.model).to(place.device)
        fingerprint = tracks.fingerprint
        elsewhere = team.told(fingerprint) != fingerprint
        team.agree(InputError("its recordings are not the first one's; give all the same") if elsewhere else None)
        team.same(model)
        groups = decayed(model, config.weight_decay, never=TABLES)
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
        same = state is not None and state.get("data") == fingerprint
        if state is not None and not same:
            line.say("the data are not what they were when this run was saved: going on with what is there now")
        found = state["yardsticks"] if same else asdict(_measured(run, tracks)) if team.leads else None
        measured = Yardsticks(**team.told(found))
        options = {"stated": {"yardsticks": asdict(measured), "data": fingerprint}, "unit": ("bits", 1 / math.log(2))}
        with team.agreeing():
            session = Session(folder, config, plan, place, model, optimizer, line, state, **options, team=team)
        if team.restarts:
            line.say(f"a process was lost: all go on from step {session.first} (restart {team.restarts})")
        else:
            line.say(_introduction(model, tracks, measured, place, config.seed))
        excerpts = Excerpts(tracks.train, model.receptive_field, config.targets, config.batch, config.seed, conditions)

        def loss(batch: Batch) -> Tensor:
            return (model.nll(batch.wave, batch.condition) * batch.weight).sum()

        def weight(batch: Batch) -> float:
            return float(batch.weight.sum())

        def batches() -> Iterator[Batch]:
            for step in itertools.count(session.first):
                for batch in excerpts.step(step, config.accumulate, team):
                    yield batch.to(place.device)

        def learning_rate(step: int, fraction: float) -> float:
            return warmup_cosine(config.learning_rate, step, config.warmup, fraction)

        def evaluate() -> dict[str, float]:
            held, size = tracks.validation, config.targets
            options = {"targets": size, "most": config.excerpts, "progress": session.heed}
            found = bits_per_sample(model, held, conditions=conditions, **options)
            return {"validation_bits": found.bits}

        def names(step: int) -> list[str]:
            return excerpts.names(step, config.accumulate)

        # a preview says what the first held-back recording says, in the voice that it has
        told = conditions.of([(tracks.validation[0], 0)], 0, round(config.preview_seconds * model.sample_rate))
        size = config.accumulate * config.batch * config.targets
        bits = math.nan
        with session:
            session.open(to_json(run), [folder / CURVE, folder / PAGE, *(folder / PREVIEWS).glob("step-*.wav")])
            for _ in session.steps(loss, batches(), learning_rate, "samples", size, weight, names):
                if session.evaluation_due() and (found := session.look(evaluate)):
                    bits = found["validation_bits"]
                    line.say(
                        f"step {session.step:6} · {session.smooth:.3f} bits training · {bits:.3f} validation · "
                        f"{session.note}"
                    )
                if session.preview_due():
                    _preview(session, config.preview_seconds, config.seed, told)
            if team.leads and not session.stopped and (found := session.look(evaluate)):
                bits = found["validation_bits"]
                if config.previews:
                    _preview(session, config.preview_seconds, config.seed, told)
            stopped = session.stopped  # what is asked from here on comes too late: little is left
        if team.leads:
            figures.curve(session.journal.records(), measured, folder / CURVE)
        team.total(0)  # none leaves before all is written: a first one that is lost here is started again, with all
        if stopped and not team.leads:
            team.follow(INTERRUPTED)
        return Outcome(folder, session.step, session.budget.elapsed, bits, measured, stopped)


ENTRANCE = Entrance(read=partial(from_json, Run), train=_train)


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
