"""``wavenet train``: start or resume a run."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from shlex import quote

from shared.cli import INTERRUPTED
from shared.config import from_json, to_json
from shared.errors import InputError
from shared.files import numbered
from shared.training import checkpoint
from shared.training.progress import clock
from shared.training.settings import only_resuming, plan_of, settled
from wavenet import trainer
from wavenet.data import Recordings, Source, torchaudio_sets
from wavenet.distributions import BY_NAME
from wavenet.mel import Mel
from wavenet.model import PRESETS, WaveNetConfig
from wavenet.run import Outcome, Run
from wavenet.telling import with_conditions

DEFAULT_PRESET = "small"


def run(arguments: Namespace) -> int:
    """Start or resume a run."""
    plan = plan_of(arguments)
    if arguments.resume:
        only_resuming(arguments, "root", "output", "speakers", "mel", "features")
        return finished(trainer.resume(Path(arguments.resume), plan))
    if not arguments.data:
        raise InputError("train on what? give a folder of recordings, or --resume RUN")
    run = configured(arguments, Run(data=source_of(arguments.data, arguments.root)))
    if arguments.print_config:
        print(json.dumps(to_json(run), indent=2))
        return 0
    given = arguments.data
    name = given.replace(":", "-") if given.startswith("torchaudio:") else Path(given).resolve().stem
    folder = Path(arguments.out) if arguments.out else numbered(Path("runs") / name)
    return finished(trainer.start(run, folder, plan, overwrite=arguments.overwrite))


def configured(arguments: Namespace, run: Run) -> Run:
    """The run with preset, file, flags and ``--set`` laid over it, in this order."""
    name = arguments.preset or DEFAULT_PRESET
    if name not in PRESETS:
        raise InputError(f"--preset {name}: there are {', '.join(PRESETS)}")
    run = replace(run, model=PRESETS[name])
    run = with_conditions(arguments, run)
    if arguments.output is not None:
        if arguments.output not in BY_NAME:
            raise InputError(f"--output {arguments.output}: there are {', '.join(BY_NAME)}")
        chosen = to_json(BY_NAME[arguments.output])
        arguments.settings = [
            *(f"model.output.{field}={value}" for field, value in chosen.items()),
            *arguments.settings,
        ]
    return settled(arguments, run)


def source_of(text: str, root: str | None) -> Source:
    """``torchaudio:NAME`` or a path."""
    if text.startswith("torchaudio:"):
        return torchaudio_sets.parse(text, root)
    return Recordings(path=str(Path(text).resolve()))  # so that a run can be resumed from anywhere


def finished(outcome: Outcome) -> int:
    """Print what a run came to and what to do next."""
    folder = outcome.folder
    if outcome.interrupted:
        how = f"wavenet train --resume {quote(str(folder))}"
        print(f"stopped at step {outcome.step}, saved; go on with: {how}", file=sys.stderr)
        return INTERRUPTED
    measured = outcome.yardsticks
    print(
        f"{folder}: step {outcome.step}, {clock(outcome.seconds)}, {outcome.bits:.3f} bits per sample on held-back "
        f"sound (order-0 entropy {measured.order_0:.3f}, linear predictor {measured.linear_32:.3f})\n"
        f"next: {next_of(folder)}"
    )
    return 0


def next_of(folder: Path) -> str:
    """What to do with a trained model."""
    config, name = from_json(WaveNetConfig, checkpoint.load_config(folder)["model"]), quote(str(folder))
    who = f" --speaker {quote(config.labels.names[0])}" if config.labels else ""
    if config.frames:
        source = "RECORDING" if isinstance(config.frames, Mel) else "FRAMES.npy"
        return f"wavenet vocode {name} {source}{who} -o copy.wav"
    return f"wavenet generate {name} --seconds 3{who}"
