"""The commands behind ``segmentation.cli``, one function each: arguments in, exit code out."""

from __future__ import annotations

import contextlib
import json
import sys
from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path
from shlex import quote
from typing import Any

from segmentation import trainer
from segmentation.check import check as look_through
from segmentation.data import PairList, PictureFolder, Source, VOCLayout
from segmentation.evaluate import confusion_png, worst_sheet
from segmentation.evaluate import evaluate as score
from segmentation.model import ModelConfig, SegmentationModel
from segmentation.networks import PRESETS
from segmentation.palette import VOC, numbered, read_classes, write_png
from segmentation.run import Outcome, Run
from segmentation.tiles import Views
from segmentation.trainer import RESULTS
from segmentation.transforms import IMAGENET
from shared.cli import INTERRUPTED, seed_of
from shared.config import to_json
from shared.errors import InputError
from shared.files import numbered as unused
from shared.files import write_file
from shared.training import checkpoint, machine
from shared.training.processes import Team, launched, leading, shared_out, started
from shared.training.progress import ProgressLine, clock
from shared.training.run_folder import claim, saved
from shared.training.settings import only_resuming, plan_of, settled
from shared.training.whole_batch import Rows

DEFAULT_PRESET = "fast"


def demo(arguments: Namespace) -> int:
    """Train on shapes, score on fresh ones, write masks."""
    from segmentation.demo import run

    return run(arguments, seed_of(arguments))


def check(arguments: Namespace) -> int:
    """Say what a folder holds and what may go wrong with it; 1 if nothing of it can be used."""
    sheet = _free(arguments.sheet, arguments.force) if arguments.sheet else None
    with ProgressLine("checking", arguments.quiet) as line:
        source = source_of(arguments.data, arguments.classes, arguments.encoding or "auto")
        report = look_through(source, lambda done, total: line.update(done / total))
    if sheet:
        write_png(sheet, report.sheet())
    if arguments.json:
        print(json.dumps(report.to_json(), indent=2))
    else:
        print("\n".join(report.lines()))
        given = (("--classes", arguments.classes), ("--encoding", arguments.encoding))
        flags = "".join(f" {flag} {quote(value)}" for flag, value in given if value)
        print(f"next: segmentation train {quote(arguments.data)}{flags} --minutes 20")
    return 0


def train(arguments: Namespace) -> int:
    """Start or resume a run."""
    plan = plan_of(arguments)
    several = shared_out(arguments)
    if arguments.resume:
        flags = ("val", "initial", "crop", "class_weights", "classes", "encoding", "split", "print_config")
        only_resuming(arguments, *flags)
        if several:
            saved(Path(arguments.resume))  # what is wrong is said once
            return launched("segmentation", arguments)
        return finished(trainer.resume(Path(arguments.resume), plan))
    if not arguments.data:
        raise InputError("train on what? give a folder with images/ and masks/, or --resume RUN")
    run = configured(arguments)
    if arguments.print_config:
        print(json.dumps(to_json(run), indent=2))
        return 0
    if started() and not arguments.out:
        raise InputError("torchrun: say where to by -o RUN, so that processes that are started again find it")
    default = Path("runs") / Path(arguments.data).resolve().stem
    folder = Path(arguments.out) if arguments.out else unused(default)
    if several:
        Rows(Team(size=arguments.procs), run.train.batch).check()
        claim(folder, plan, overwrite=arguments.overwrite)
        return launched("segmentation", arguments, "--out", str(folder), "--seed", str(run.train.seed))
    return finished(trainer.start(run, folder, plan, overwrite=arguments.overwrite))


def configured(arguments: Namespace) -> Run:
    """The run that the flags of ``train`` describe."""
    encoding, split = arguments.encoding or "auto", arguments.split or "file"
    source = source_of(arguments.data, arguments.classes, encoding, arguments.val, split)
    run = Run(data=source)
    if arguments.initial:
        folder = Path(arguments.initial).resolve()
        if arguments.preset:
            raise InputError("--from brings its network along; leave out --preset")
        run = replace(run, initial=str(folder), network=SegmentationModel.from_pretrained(folder).config.network)
    else:
        name = arguments.preset or DEFAULT_PRESET
        if name not in PRESETS:
            raise InputError(f"--preset {name}: there are {', '.join(PRESETS)}")
        run = replace(run, network=PRESETS[name])
    if arguments.crop:
        height, width = arguments.crop
        augmentation = replace(run.train.augmentation, crop=(height, width))
        run = replace(run, train=replace(run.train, augmentation=augmentation))
    run = settled(arguments, run)
    if arguments.class_weights:
        if not hasattr(run.train.loss, "weights"):
            name = type(run.train.loss).__name__
            raise InputError(f"--class-weights: {name} has none of its own; try --set train.loss.first.weights=median")
        run = replace(run, train=replace(run.train, loss=replace(run.train.loss, weights=arguments.class_weights)))
    return run


def finished(outcome: Outcome) -> int:
    """Print what a run came to and what to do next."""
    folder = quote(str(outcome.folder))
    if not leading():
        return INTERRUPTED if outcome.interrupted else 0
    if outcome.interrupted:
        how = f"segmentation train --resume {folder}"
        print(f"stopped at step {outcome.step}, saved; go on with: {how}", file=sys.stderr)
        return INTERRUPTED
    print(outcome.table)
    print(f"{folder}: step {outcome.step}, {clock(outcome.seconds)}; scores are of held-back pictures")
    print(f"next: segmentation predict {folder} PICTURES -o masks/ --overlay")
    return 0


def evaluate(arguments: Namespace) -> int:
    """Scores on pictures whose masks are known."""
    machine.keep_memory()
    machine.use_threads(arguments.threads)
    model = SegmentationModel.from_pretrained(arguments.model, machine.device_named(arguments.device))
    out = Path(arguments.out) if arguments.out else None
    names = (RESULTS, "confusion.png", "worst.png")
    paths = [_free(out / name, arguments.force) for name in names] if out else []
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


def predict(arguments: Namespace) -> int:
    """Write masks, and what else is asked for, picture by picture."""
    from segmentation.writing import write_masks

    machine.keep_memory()
    machine.use_threads(arguments.threads)
    model = SegmentationModel.from_pretrained(arguments.model, machine.device_named(arguments.device))
    return write_masks(arguments, model, looks(arguments))


def import_weights(arguments: Namespace) -> int:
    """Make a model folder of published weights."""
    from segmentation.weights import fill, network_of, read_published

    folder = Path(arguments.out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is there already; choose another name with -o")
    state = read_published(Path(arguments.weights))
    network, count = network_of(state, arguments.weights)
    classes = read_classes(arguments.classes) if arguments.classes else VOC if count == VOC.count else numbered(count)
    if classes.count != count:
        raise InputError(
            f"{arguments.classes}: names {classes.count} classes, the weights know {count}; give all of them"
        )
    model = SegmentationModel(ModelConfig(network=network, classes=classes))
    left = fill(model.network, state, arguments.weights)
    if left:
        raise InputError(f"{arguments.weights}: lacks {', '.join(left)}; it is not a whole model")
    model.save_pretrained(folder)
    print(f"{folder}: DeepLabV3 on ResNet-{network.depth}, {count} classes: {', '.join(classes.names)}")
    print(f"next: segmentation predict {quote(str(folder))} PICTURES -o masks/ --overlay")
    return 0


def export(arguments: Namespace) -> int:
    """Write an ONNX file."""
    from segmentation.export import export_onnx

    model = SegmentationModel.from_pretrained(arguments.model)
    print(export_onnx(model, arguments.out, force=arguments.force).text)
    return 0


def bench(arguments: Namespace) -> int:
    """Pictures a second."""
    from segmentation.bench import bench as measure

    threads = machine.use_threads(arguments.threads)
    model = SegmentationModel.from_pretrained(arguments.model, machine.device_named(arguments.device))
    with ProgressLine("measuring", arguments.quiet) as line:
        rows = measure(model, tuple(arguments.size), threads, lambda share, text: line.update(share, text))
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    print(f"{'form':24} {'ms a picture':>12} {'times plain':>11} {'other pixels':>12}")
    for row in rows:
        print(f"{row.form:24} {1000 * row.seconds:12.0f} {row.times_plain:11.2f} {row.other_pixels:12.3%}")
    return 0


def info(arguments: Namespace) -> int:
    """What a folder's model is and how far its run got."""
    folder = Path(arguments.model)
    model = SegmentationModel.from_pretrained(folder)
    network = model.network
    summary: dict[str, Any] = {
        "model": to_json(model.config),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "output_stride": network.field.jump,
        "receptive_fields": [field.size for field in network.branches],
        "halo": network.halo,
    }
    values = checkpoint.load_config(folder)
    if "train" in values and (folder / checkpoint.RESUME).exists():
        state = checkpoint.training_state(folder)
        summary["run"] = {"data": values["data"], "train": values["train"], **state}
        with contextlib.suppress(OSError, ValueError, AttributeError):  # no results yet, or damaged ones
            summary["run"]["mean_iou"] = json.loads((folder / RESULTS).read_text(encoding="utf-8")).get("mean_iou")
    if arguments.json:
        print(json.dumps(summary, indent=2))
        return 0
    classes = ", ".join(model.classes.names)
    fields = " / ".join(map(str, summary["receptive_fields"]))
    print(f"{folder}: {type(model.config.network).__name__} of {summary['parameters']:,} parameters")
    print(f"  {model.classes.count} classes: {classes}")
    print(f"  output stride {network.field.jump}; branches of the pyramid see {fields} pixels")
    if run := summary.get("run"):
        reached = f", mean IoU {100 * run['mean_iou']:.1f} on held-back pictures" if run.get("mean_iou") else ""
        print(f"  trained for {run['step']} steps, {clock(run['seconds'])}, in {run['precision']}{reached}")
        print(f"  on {', '.join(f'{key} {value}' for key, value in run['data'].items() if value)}")
    print(f"next: segmentation predict {quote(str(folder))} PICTURES -o masks/ --overlay")
    return 0


def report(arguments: Namespace) -> int:
    """Write a page about a run."""
    from segmentation.report import run

    return run(arguments)


def serve(arguments: Namespace) -> int:
    """Serve a page to drop pictures on."""
    from segmentation.serve import run

    return run(arguments)


def source_of(
    data: str,
    classes: str | None,
    encoding: str,
    held: str | None = None,
    split: str = "file",
) -> Source:
    """A folder with images/ and masks/, a Pascal VOC folder, or a list of pairs; paths become absolute."""
    path = Path(data).resolve()
    table = str(Path(classes).resolve()) if classes else ""
    there = str(Path(held).resolve()) if held else ""
    if path.is_file():
        return PairList(path=str(path), held=there, classes=table, encoding=encoding, split=split)
    if path.is_dir() and not (path / "images").is_dir() and any(path.rglob("SegmentationClass")):
        if held or split != "file" or encoding != "auto":
            raise InputError(
                f"{path}: a Pascal VOC folder brings its own lists and masks; leave out --val and the like"
            )
        return VOCLayout(root=str(path), classes=table)
    return PictureFolder(root=str(path), held=there, classes=table, encoding=encoding, split=split)


def looks(arguments: Namespace) -> dict[str, Any]:
    """How each picture is looked at; InputError for what makes no sense."""
    try:
        Views(normalisation=IMAGENET, scales=tuple(arguments.scales), flip=arguments.flip)
    except ValueError as error:
        raise InputError(f"--scales: {error}") from None
    return {"fast": arguments.fast, "flip": arguments.flip, "scales": tuple(arguments.scales)}


def _encoding(folder: Path) -> str:
    """How the masks of the run were said to be read: others like them want the same."""
    return checkpoint.load_config(folder).get("data", {}).get("encoding", "auto")


def _free(path: Path | str, force: bool) -> Path:
    path = Path(path)
    if path.exists() and not force:
        raise InputError(f"{path}: exists already; choose another name or pass --force")
    return path
