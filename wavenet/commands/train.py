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
from shared.training.processes import launched, leading, shared_out, started
from shared.training.progress import clock
from shared.training.run_folder import claim, saved
from shared.training.settings import only_resuming, plan_of, settled
from wavenet import trainer
from wavenet.data import Recordings, Source, torchaudio_sets
from wavenet.data.recordings import recordings
from wavenet.distributions import BY_NAME
from wavenet.mel import Mel
from wavenet.model import PRESETS, WaveNetConfig
from wavenet.run import Outcome, Run
from wavenet.telling import with_conditions

DEFAULT_PRESET = "small"


def run(arguments: Namespace) -> int:
    """Start or resume a run."""
    plan = plan_of(arguments)
    several = shared_out(arguments)
    if arguments.resume:
        only_resuming(arguments, "root", "output", "speakers", "mel", "features", "trim", "level")
        if several:
            saved(Path(arguments.resume))  # what is wrong is said once
            return launched("wavenet", arguments)
        return finished(trainer.resume(Path(arguments.resume), plan))
    if not arguments.data:
        raise InputError("train on what? give a folder of recordings, or --resume RUN")
    run = configured(arguments, Run(data=source_of(arguments.data, arguments.root, arguments.trim, arguments.level)))
    if arguments.print_config:
        print(json.dumps(to_json(run), indent=2))
        return 0
    given = arguments.data
    if started() and not arguments.out:
        raise InputError("torchrun: say where to by -o RUN, so that processes that are started again find it")
    name = given.replace(":", "-") if given.startswith("torchaudio:") else Path(given).resolve().stem
    folder = Path(arguments.out) if arguments.out else numbered(Path("runs") / name)
    if several:
        claim(folder, plan, overwrite=arguments.overwrite)
        return launched("wavenet", arguments, "--out", str(folder), "--seed", str(run.train.seed))
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
    run = settled(arguments, run)
    if run.features and run.model.frames and isinstance(run.data, Recordings):
        run = replace(run, data=replace(run.data, step=run.model.frames.hop))  # what is trimmed are whole frames
    return run


def source_of(text: str, root: str | None, trim: float | None = None, level: float | None = None) -> Source:
    """``torchaudio:NAME`` or a path."""
    if text.startswith("torchaudio:"):
        if trim is not None or level is not None:
            raise InputError(f"{text}: --trim and --level are for folders of recordings; leave them out")
        return torchaudio_sets.parse(text, root)
    return recordings(text, trim, level)


def finished(outcome: Outcome) -> int:
    """Print what a run came to and what to do next."""
    folder = outcome.folder
    if not leading():
        return INTERRUPTED if outcome.interrupted else 0
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
