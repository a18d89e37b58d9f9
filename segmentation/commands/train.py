"""``segmentation train``: start or resume a run."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from shlex import quote

from segmentation import trainer
from segmentation.commands.given import source_of
from segmentation.model import SegmentationModel
from segmentation.networks import PRESETS
from segmentation.run import Outcome, Run
from shared.cli import INTERRUPTED
from shared.config import to_json
from shared.errors import InputError
from shared.files import numbered as unused
from shared.training.processes import Team, launched, leading, shared_out, started
from shared.training.progress import clock
from shared.training.run_folder import claim, saved
from shared.training.settings import only_resuming, plan_of, settled
from shared.training.whole_batch import Rows

DEFAULT_PRESET = "fast"


def run(arguments: Namespace) -> int:
    """Start or resume a run."""
    plan = plan_of(arguments)
    several = shared_out(arguments)
    if arguments.resume:
        flags = ("val", "initial", "crop", "class_weights", "classes", "encoding", "split", "print_config")
        only_resuming(arguments, *flags)
        if several:
            values, _ = saved(Path(arguments.resume))  # what is wrong is said once
            Rows(Team(size=arguments.procs), trainer.ENTRANCE.read(values).train.batch).check()
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
