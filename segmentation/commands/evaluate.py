"""``segmentation evaluate``: scores on pictures whose masks are known, class by class."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from segmentation.commands.given import free, looks, source_of
from segmentation.data import VOCLayout
from segmentation.evaluate import confusion_png, worst_sheet
from segmentation.evaluate import evaluate as score
from segmentation.model import SegmentationModel
from segmentation.palette import write_png
from segmentation.trainer import RESULTS
from shared.files import write_file
from shared.training import checkpoint, machine
from shared.training.progress import ProgressLine


def run(arguments: Namespace) -> int:
    """Scores on pictures whose masks are known."""
    machine.keep_memory()
    machine.use_threads(arguments.threads)
    model = SegmentationModel.from_pretrained(arguments.model, machine.device_named(arguments.device))
    out = Path(arguments.out) if arguments.out else None
    names = (RESULTS, "confusion.png", "worst.png")
    paths = [free(out / name, arguments.force) for name in names] if out else []
    if out:
        out.mkdir(parents=True, exist_ok=True)  # before anything is scored
    options = looks(arguments)
    with ProgressLine("evaluating", arguments.quiet) as line:
        source = source_of(arguments.data, arguments.classes, arguments.encoding or "auto")
        if not arguments.encoding and not isinstance(source, VOCLayout):
            source = replace(source, encoding=_encoding(Path(arguments.model)))
        samples = source.load(0.0, lambda done, total: line.update(done / total, "reading the data"), model.classes)
        for text in (*samples.refused, *samples.remarks):
            line.say(text)
        if samples.classes.names != model.classes.names:
            mine, theirs = (", ".join(each.names) for each in (model.classes, samples.classes))
            line.say(f"the classes of the masks ({theirs}) are taken by their number for the model's ({mine})")
        chosen = samples.validation or samples.train  # a source with a list of its own to validate on means that
        found = score(model, chosen, progress=lambda done, total: line.update(done / total), **options)
    if arguments.json:
        print(json.dumps({"model": str(arguments.model), "data": str(arguments.data), **found.to_json()}, indent=2))
    else:
        print("\n".join(found.lines()), flush=True)
    if out:
        write_file(paths[0], json.dumps(found.to_json(), indent=2) + "\n")
        write_file(paths[1], confusion_png(found.confusion, model.classes))
        write_png(paths[2], worst_sheet(model, chosen, found, **options))
    return 0


def _encoding(folder: Path) -> str:
    """How the masks of the run were said to be read: others like them want the same."""
    return checkpoint.load_config(folder).get("data", {}).get("encoding", "auto")
