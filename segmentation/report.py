"""The report of a training run: all that its folder tells, as one page. What is not there yet is left out."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from segmentation import figures
from segmentation.data import PairList, PictureFolder, Shapes, VOCLayout
from segmentation.evaluate import confusion_png
from segmentation.metrics import Confusion
from segmentation.model import ModelConfig
from segmentation.networks import PRESETS
from segmentation.palette import Classes
from segmentation.run import CURVE, DEMO, Run, TrainConfig
from segmentation.trainer import RESULTS
from shared.config import from_json, to_json
from shared.errors import InputError
from shared.report import Page, Picture
from shared.run_report import (
    again,
    assignment,
    by_step,
    destination,
    differing,
    flat,
    length,
    png_of,
    settings,
    spread,
    step_of,
)
from shared.training import checkpoint
from shared.training.journal import Journal
from shared.training.progress import clock
from shared.training.session import METRICS, PREVIEWS

MOST_PREVIEWS, HARDEST = 12, 5  # pictures on the page, rows in the list
WHERE = {PictureFolder: "root", PairList: "path", VOCLayout: "root"}  # the field that ``train DATA`` fills
FLAGS = {"held": "--val", "classes": "--classes", "encoding": "--encoding", "split": "--split"}


class Scores(NamedTuple):
    """The last evaluation of a run: its confusion matrix, and the mean IoU and name of each picture, lowest first."""

    confusion: Confusion
    pictures: list[tuple[float, str]]


def report(folder: Path | str) -> Page:
    """The page of a run, finished or not, or of a saved model; InputError where there is none."""
    folder = Path(folder)
    values = checkpoint.load_config(folder)
    config = from_json(ModelConfig, values.pop("model", None), "model.")
    run = from_json(Run, values) if "train" in values else None
    state = checkpoint.training_state(folder) if run and (folder / checkpoint.RESUME).exists() else None
    scores = _scores(folder / RESULTS, config.classes) if run else None

    page = Page(folder.resolve().name, _lead(config, state, scores))
    if marks := _marks(state, scores):
        page.marks(marks)
    if run:
        _progress(page, folder)
    if scores:
        _classes(page, scores, config.classes)
    if run:
        _previews(page, folder / PREVIEWS)
    page.section("The network")
    page.facts(_network(config))
    if run:
        page.section("What it was trained on")
        page.facts(_training(run, state))
        page.section("Settings")
        settings(page, "training", differing(run.train, TrainConfig()))
        again(page, _command(run, state), state)
    return page


def run(arguments: Namespace) -> int:
    """``segmentation report``."""
    out = destination(arguments)
    report(arguments.model).write(out)
    print(out)
    return 0


def _lead(config: ModelConfig, state: dict[str, Any] | None, scores: Scores | None) -> str:
    text = f"{type(config.network).__name__} for {config.classes.count} classes"
    if state is None:
        return f"{text}: {', '.join(config.classes.names)}."
    text += f", trained for {state['step']:,} steps"
    if scores:
        return f"{text}. Scores are those of whole held-back pictures, which it was not trained on."
    return f"{text} so far: the run goes on, or was stopped. Scores come with its end."


def _marks(state: dict[str, Any] | None, scores: Scores | None) -> dict[str, str]:
    marks = {}
    if scores:
        marks = {
            "mean IoU": _percent(scores.confusion.mean_iou),
            "of all pixels right": _percent(scores.confusion.pixel_accuracy),
        }
    if state:
        marks |= {"steps": f"{state['step']:,}", "training time": clock(state["seconds"])}
    return marks


def _progress(page: Page, folder: Path) -> None:
    png = png_of(folder / CURVE)
    if png is None and (folder / METRICS).exists():  # it is drawn when a run ends; this one has not
        records = Journal(folder / METRICS).records()
        if any(record.get("loss") is not None for record in records):
            with tempfile.TemporaryDirectory() as aside:
                figures.curve(records, Path(aside) / CURVE)
                png = png_of(Path(aside) / CURVE)
    if png:
        page.section("How training went")
        alt = "A chart over training steps: the loss, and the mean IoU on held-back pictures."
        page.pictures(Picture(png, "Loss of each step and its running mean, and mean IoU on held-back pictures.", alt))


def _classes(page: Page, scores: Scores, classes: Classes) -> None:
    confusion = scores.confusion
    pixels = confusion.counts.sum(1) / max(1, confusion.pixels)
    columns = [map(_hundredfold, each) for each in (confusion.iou, confusion.accuracy, confusion.precision, pixels)]
    rows = [list(row) for row in zip(classes.names, *columns, strict=True)]
    rows.append(["mean", _hundredfold(confusion.mean_iou), _hundredfold(confusion.mean_accuracy), "", ""])
    heads = ["class", "IoU", "accuracy", "precision", "pixels"]
    page.section("Class by class")
    page.table(
        heads,
        rows,
        caption="On held-back pictures, in percent",
        colours=classes.colours,
        total=True,
    )
    page.section("What is taken for what")
    alt = "The confusion matrix: for each true class, how many of its pixels were predicted as each class."
    text = "A row is a true class; its numbers say what its pixels were predicted as."
    page.pictures(Picture(confusion_png(confusion, classes), text, alt))
    if len(scores.pictures) > HARDEST:
        rows = [[name, _percent(score)] for score, name in scores.pictures[:HARDEST]]
        page.table(["picture", "its mean IoU"], rows, caption="The hardest of the held-back pictures")


def _previews(page: Page, folder: Path) -> None:
    found = []
    for path in spread(by_step(folder.glob("step-*.png")), MOST_PREVIEWS):
        if png := png_of(path):
            alt = f"Rows of held-back pictures at step {step_of(path)}: the picture, its true mask, the predicted mask."
            found.append(Picture(png, f"Step {step_of(path):,}", alt))
    if found:
        page.section("What it saw along the way")
        page.text("The same held-back pictures each time: the picture, its true mask, the mask that was predicted.")
        page.pictures(*found)


def _network(config: ModelConfig) -> dict[str, object]:
    with torch.device("meta"):  # what it is can be told without its weights
        network = config.network.build(config.classes.count)
    fields = [field.size for field in network.branches]
    return {
        "network": type(config.network).__name__,
        **{name.replace("_", " "): value for name, value in flat(config.network) if value != ()},
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "output stride": f"{network.field.jump} pixels",
        "branches of the pyramid see": f"{' / '.join(map(str, fields))} pixels",
        "classes": config.classes.names,
    }


def _training(run: Run, state: dict[str, Any] | None) -> dict[str, object]:
    facts: dict[str, object] = {"source": type(run.data).__name__}
    facts |= {name: value for name, value in flat(run.data) if value not in ("", ())}
    if run.initial:
        facts["started from"] = run.initial
    if state:
        facts |= {"threads": state.get("threads"), "products in": state.get("precision")}
    return facts


def _command(run: Run, state: dict[str, Any] | None) -> list[str] | None:
    """What to type to train this again, in words; None where no command says it."""
    if isinstance(run.data, Shapes):
        seed, weights = run.train.seed, getattr(run.train.loss, "class_weights", ())  # which the data filled in
        loss = dataclasses.replace(DEMO.train.loss, class_weights=weights)
        train = dataclasses.replace(DEMO.train, seed=seed, loss=loss)
        shown = dataclasses.replace(DEMO, data=dataclasses.replace(DEMO.data, seed=seed), train=train)
        words = ["segmentation", "demo", "--seed", str(seed), *length(state)]
        return words if to_json(run) == to_json(shown) else None
    where = WHERE[type(run.data)]
    words = ["segmentation", "train", getattr(run.data, where), *length(state)]
    usual = type(run.data)(**{where: ""})
    for name, value in flat(run.data):
        if name != where and value != getattr(usual, name):
            by_flag = name in FLAGS and (name != "held" or not isinstance(run.data, VOCLayout))
            words += [FLAGS[name], str(value)] if by_flag else assignment(f"data.{name}", value)
    if run.initial:
        words += ["--from", run.initial]
    elif preset := next((name for name, network in PRESETS.items() if network == run.network), None):
        words += ["--preset", preset] if run.network != Run().network else []
    else:
        values = to_json(run.network)
        for name, value in values.items():
            words += assignment(f"network.{name}", value)
    for name, value, _ in differing(run.train, TrainConfig()):
        if not name.endswith("class_weights"):  # those follow from the data
            words += assignment(f"train.{name}", value)
    return words


def _scores(path: Path, classes: Classes) -> Scores | None:
    """The last evaluation; None before there is one. InputError where the file is not what ``evaluate`` writes."""
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        confusion = Confusion(classes.count, values["confusion"])
        scored = [each for each in values["pictures"] if each["mean_iou"] is not None]
        return Scores(confusion, sorted((float(each["mean_iou"]), str(each["name"])) for each in scored))
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{path}: is no evaluation of this model ({text}); remove it, and it is left out") from None


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f} %"


def _hundredfold(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f}"
