"""Training, top to bottom: a run value in, a run folder out (``shared.training.session`` says what lies there)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segmentation import figures
from segmentation.check import spread, stacked
from segmentation.data import Sample, Samples
from segmentation.data.crops import CACHE, Batch, Crops
from segmentation.evaluate import Evaluation, evaluate, strip
from segmentation.losses import ClassCounts, balanced
from segmentation.model import ModelConfig, SegmentationModel
from segmentation.networks import Segmenter
from segmentation.palette import Classes, write_png
from segmentation.run import CURVE, Outcome, Run, TrainConfig
from segmentation.weights import fill
from shared.cli import INTERRUPTED
from shared.config import from_json, to_json
from shared.errors import InputError
from shared.files import write_file
from shared.run_report import PAGE
from shared.training import checkpoint
from shared.training.entrance import Entrance
from shared.training.loop import warmup_poly
from shared.training.processes import Team
from shared.training.progress import ProgressLine
from shared.training.session import PREVIEWS, Place, Session, decayed
from shared.training.settings import Plan
from shared.training.whole_batch import Rows, look_at_whole_batches

RESULTS = "metrics.json"  # the last evaluation, class by class
SHOWN = 4  # pictures in a preview


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
    place, rows = Place.of(run.train, plan, state, team), Rows(team, run.train.batch)
    with ProgressLine("training", plan.quiet or not team.leads) as line:
        with team.agreeing():
            rows.check()
            known = _known_classes(folder) if state is not None else None
            samples = _loaded(run, line)
            if known is not None and samples.classes != known:
                theirs, ours = (", ".join(each.names) for each in (samples.classes, known))
                raise InputError(f"{folder}: learnt {ours}; its data now have {theirs}: start a new run with --from")
        fingerprint = samples.fingerprint
        elsewhere = team.told(fingerprint) != fingerprint
        team.agree(InputError("its pictures are not the first one's; give all the same") if elsewhere else None)
        if state is not None and state.get("data") != fingerprint:
            line.say("the data are not what they were when this run was saved: going on with what is there now")
        if state is None:
            run = replace(run, train=replace(run.train, loss=balanced(run.train.loss, counts_of(samples))))
        config = run.train
        with team.agreeing():
            torch.manual_seed(config.seed)
            model = SegmentationModel(ModelConfig(network=run.network, classes=samples.classes))
            if run.initial and state is None:
                for remark in _filled(model.network, Path(run.initial)):
                    line.say(remark)
        team.same(model.network)
        look_at_whole_batches(model.network, rows)
        network = model.network.to(place.device, memory_format=torch.channels_last)
        if place.precision == torch.bfloat16 and place.device.type == "cpu" and _spoilt(network):
            line.say("trained in float32: bfloat16 needs dilated convolutions whose channels are multiples of 16")
            place = replace(place, precision=torch.float32)
        with team.agreeing():
            session = Session(
                folder, config, plan, place, network, _optimizer(network, config), line, state,
                stated={"data": fingerprint}, team=team,
            )  # fmt: skip
        if team.restarts:
            line.say(f"a process was lost: all go on from step {session.first} (restart {team.restarts})")
        else:
            line.say(_introduction(network, samples, place, config))
        mine = {"rows": rows.own, "cache": CACHE // team.local_size}
        crops = Crops(samples.train, config.augmentation, config.batch, config.seed, **mine)

        def loss(batch: Batch) -> Tensor:
            logits, auxiliary = network.with_auxiliary(batch.images)
            total = config.loss(logits, batch.masks, rows=rows)
            if auxiliary is not None:
                total = total + config.auxiliary * config.loss(auxiliary, batch.masks, rows=rows)
            return total

        def batches() -> Iterator[Batch]:
            with closing(crops.ahead(session.first * config.accumulate, workers=config.workers)) as ahead:
                for _, batch in ahead:
                    yield batch.to(place.device)

        def learning_rate(step: int, fraction: float) -> float:
            return warmup_poly(config.learning_rate, step, config.warmup, fraction, config.power)

        found: list[Evaluation] = []

        def look(pictures: list[Sample]) -> dict[str, float]:
            try:
                found[:] = [evaluate(model, pictures, boundary=False, progress=session.heed)]
            finally:
                network.train()
            confusion = found[0].confusion
            return {"mean_iou": confusion.mean_iou, "pixel_accuracy": confusion.pixel_accuracy}

        def names(step: int) -> list[str]:
            return crops.names(step, config.accumulate)

        some = spread(samples.validation, config.pictures)
        network.train()
        size = config.accumulate * config.batch
        leavings = [folder / CURVE, folder / RESULTS, folder / PAGE, *(folder / PREVIEWS).glob("step-*.png")]
        with session, closing(batches()) as source:
            session.open({**to_json(run), "model": to_json(model.config)}, leavings)
            for _ in session.steps(loss, source, learning_rate, "crops", size, names=names):
                if session.evaluation_due() and (scores := session.look(lambda: look(some))):
                    line.say(
                        f"step {session.step:6} · {session.smooth:.3f} loss · {_percent(scores['mean_iou'])} mean IoU, "
                        f"{_percent(scores['pixel_accuracy'])} % of pixels right · {session.note}"
                    )
                if session.preview_due():
                    _preview(session, model, samples)
            mean_iou, table = None, ""
            line.update(1.0, "evaluating")
            if team.leads and not session.stopped and (scores := session.look(lambda: look(list(samples.validation)))):
                mean_iou = scores["mean_iou"]
                table = found[0].confusion.table(samples.classes.names)
                write_file(folder / RESULTS, json.dumps(found[0].to_json(), indent=2) + "\n")
                if config.previews:
                    _preview(session, model, samples)
            stopped = session.stopped  # what is asked from here on comes too late: little is left
        if team.leads:
            figures.curve(session.journal.records(), folder / CURVE)
        team.total(0)  # none leaves before all is written: a first one that is lost here is started again, with all
        if stopped and not team.leads:
            team.follow(INTERRUPTED)
        return Outcome(folder, session.step, session.budget.elapsed, mean_iou, table, stopped)


def _read(values: dict[str, Any]) -> Run:
    """The run; the model that ``config.json`` holds beside it is made of the run and its data."""
    return from_json(Run, {name: value for name, value in values.items() if name != "model"})


ENTRANCE = Entrance(read=_read, train=_train)


def counts_of(samples: Samples) -> ClassCounts:
    """How often each class occurs in what is trained on."""
    each = [sample.counts for sample in samples.train]
    classes = range(samples.classes.count)
    return ClassCounts(
        pixels=tuple(int(sum(counts[at] for counts in each)) for at in classes),
        pixels_around=tuple(int(sum(counts.sum() for counts in each if counts[at])) for at in classes),
    )


def _preview(session: Session, model: SegmentationModel, samples: Samples) -> None:
    """The same few held-back pictures each time, beside truth, prediction and errors; named by the step."""
    folder = session.folder / PREVIEWS
    folder.mkdir(exist_ok=True)
    rows = []
    with session.average.swapped_in(model.network):
        for sample in spread(samples.validation, SHOWN):
            pixels, ids = sample.read()
            rows.append(strip(pixels, ids, model.predict(pixels).ids, samples.classes))
    model.network.train()
    write_png(folder / f"step-{session.step:06}.png", stacked(*rows))


def _loaded(run: Run, line: ProgressLine) -> Samples:
    samples = run.data.load(run.train.validation, lambda done, total: line.update(done / total, "reading the data"))
    for text in (*samples.refused, *samples.remarks):
        line.say(text)
    if not samples.validation:
        raise InputError("nothing left to validate on: give at least two pictures, or a set of their own with --val")
    if samples.classes.count < 2:
        raise InputError("the masks hold one class only, which leaves nothing to learn; look with `segmentation check`")
    return samples


def _known_classes(folder: Path) -> Classes:
    """Those that a run has learnt."""
    return from_json(ModelConfig, checkpoint.load_config(folder).get("model"), "model.").classes


def _filled(network: Segmenter, folder: Path) -> list[str]:
    """Take over the weights of a saved model; what did not fit, in lines for the user."""
    other = SegmentationModel.from_pretrained(folder)
    left = fill(network, other.network.state_dict(), str(folder / checkpoint.MODEL))
    if not left:
        return [f"starting from the weights of {folder}"]
    return [f"starting from the weights of {folder}; not taken over, and new: {', '.join(left)}"]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _spoilt(network: Segmenter) -> bool:
    """Whether oneDNN gets a weight gradient wrong in bfloat16.

    Found in torch 2.11: of dilated convolutions with 20, 24 or 40 input channels it holds memory that nobody wrote.
    """
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and max(layer.dilation) > 1]
    return any(layer.in_channels % 16 for layer in convolutions)


def _optimizer(network: Segmenter, config: TrainConfig) -> torch.optim.Optimizer:
    groups = decayed(network, config.weight_decay)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9)
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _introduction(network: Segmenter, samples: Samples, place: Place, config: TrainConfig) -> str:
    parameters = sum(parameter.numel() for parameter in network.parameters())
    sees = max((field.size for field in network.branches), default=network.field.size)
    height, width = config.augmentation.crop
    names = ", ".join(itertools.islice(samples.classes.names, 12)) + (" …" if samples.classes.count > 12 else "")
    return (
        f"data: {len(samples.train)} pictures to train on, {len(samples.validation)} held back; "
        f"{samples.classes.count} classes: {names}\n"
        f"model: {parameters:,} parameters, output stride {network.field.jump}, widest branch sees {sees} pixels, "
        f"{place}, crops of {width} × {height}, seed {config.seed}"
    )
