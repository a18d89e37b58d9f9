"""Ctrl-C and SIGTERM, whenever they come: what was done is saved, one line says so, and nobody is left behind."""

from __future__ import annotations

import io
import itertools
import os
import pkgutil
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import numpy as np
import torch
from PIL import Image

import segmentation.cli
import wavenet.cli
from segmentation.data.shapes import draw
from shared.cli import INTERRUPTED
from shared.training import checkpoint
from shared.training.interruption import Interruption
from tests.melodies import write_melodies
from tests.reliability.promise import Figure, Promise, Tier
from tests.reliability.runs import digest
from tests.reliability.trial import Outcome, trial
from wavenet.audio import RATE
from wavenet.wav import HEADER

Whom = Literal["process", "group"]
SIGNALS: list[tuple[signal.Signals, Whom]] = [
    (signal.SIGTERM, "group"), (signal.SIGINT, "process"), (signal.SIGINT, "group"), (signal.SIGTERM, "process")
]  # fmt: skip
SOON = 10.0  # seconds
TRAIN = (
    "--steps 12 --save-every 4 --threads 1 --device cpu --set train.precision=float32 --set train.warmup=2 "
    "--set train.evaluations=3 --set train.previews=1"
)
SPEECH = (
    f"wavenet train SOUNDS {TRAIN} --set model.dilations=[1,2,4] --set model.residual_channels=8 --set "
    "model.gate_channels=8 --set model.skip_channels=8 --set train.targets=256 --set train.preview_seconds=0.01 "
    "--set train.excerpts=4"
)
PICTURES = (
    f"segmentation train PICTURES {TRAIN} --set network.width=8 --set network.channels=16 --set train.batch=2 "
    "--crop 32 32 --set train.workers="
)
STEP, SAVE = "shared.training.journal.Journal.write", "os.fsync"


@dataclass(frozen=True)
class Moment:
    """When a signal comes: as ``function`` is called for the ``at``-th time while a command runs."""

    name: str
    command: str
    function: str
    at: int = 1
    kept: Literal["run", "sound", ""] = ""
    """What must have been saved then."""
    twice: bool = False
    """Whether the signal comes again at once."""


def moments(full: bool) -> list[Moment]:
    """In ``command`` words in capitals stand for files."""
    if not full:
        return [
            Moment("a step", f"{PICTURES}2", STEP, 6, "run"),
            Moment("a check of data", SPEECH, "wavenet.trainer._measured"),
            Moment("a save", SPEECH, SAVE, 14, "run"),
            Moment("validation", f"{PICTURES}0", "segmentation.trainer.evaluate", 1, "run"),
        ]
    found = [
        Moment(
            "generating", "wavenet generate VOICE --seconds 1 -o OUT.wav", "wavenet.wav.WavWriter.write", 9, "sound"
        ),
        Moment("a check of data", SPEECH, "wavenet.trainer._measured"),
        Moment("a check of data", f"{PICTURES}2", "segmentation.trainer._introduction"),
        Moment("a check of data", "segmentation check PICTURES", "segmentation.commands.check.look_through"),
        Moment("a check of data", "wavenet prepare SOUNDS -o OUT", "wavenet.commands.prepare.treated"),
        Moment("evaluating", "wavenet evaluate VOICE SOUNDS", "wavenet.commands.evaluate.yardsticks"),
        Moment("evaluating", "segmentation evaluate MODEL PICTURES", "segmentation.metrics.Confusion.add", 3),
        Moment("predicting", "segmentation predict MODEL PICTURES/images -o OUT", "segmentation.writing._predicted", 2),
    ]
    evaluations = {SPEECH: "wavenet.trainer.bits_per_sample"}
    evaluations |= {f"{PICTURES}{workers}": "segmentation.trainer.evaluate" for workers in (0, 2)}
    for command, evaluation in evaluations.items():
        found += [
            Moment("the first batch", command, "shared.training.session.optimise", 1, "run"),
            Moment("a step", command, STEP, 6, "run"),
            Moment("a save", command, SAVE, 14, "run"),
            Moment("validation", command, evaluation, 1, "run"),
            Moment("the last validation", f"{command} --set train.evaluations=1", evaluation, 1, "run"),
            Moment("a second signal", command, STEP, 6, "run", twice=True),
        ]
    return found


class Shell:
    """A folder with what commands are given; they run in forks, not in Pythons of their own."""

    def __init__(self, tier: Tier):
        self.folder, self.commands = tier.folder("given"), itertools.count()
        (self.folder / "SOUNDS").mkdir()
        write_melodies(self.folder / "SOUNDS", [f"melody {at}" for at in range(4)], 0.5)
        for kind in ("images", "masks"):
            (self.folder / "PICTURES" / kind).mkdir(parents=True)
        for at in range(12):
            for kind, array in zip(("images", "masks"), draw((40, 56), np.random.default_rng(at)), strict=True):
                Image.fromarray(array).save(self.folder / "PICTURES" / kind / f"{at}.png")

    def run(self, command: str, out: str = "", moment: Moment | None = None, *sent: Any) -> Outcome:
        """Its exit code, and what came after the signal: lines on stderr, seconds, threads and processes left."""
        words = [*shlex.split(command), *(["-o", out] if " train " in f"{command} " and out else [])]
        program, *arguments = [word.replace("OUT", out) for word in words]
        main = {"wavenet": wavenet.cli.main, "segmentation": segmentation.cli.main}[program]
        return trial(lambda: self._answer(main, arguments, moment, *sent))

    def _answer(self, main: Any, arguments: list[str], moment: Moment | None, *sent: Any) -> dict[str, Any]:
        os.chdir(self.folder)
        said, began = io.StringIO(), [time.monotonic(), 0]
        with redirect_stderr(said), redirect_stdout(io.StringIO()):
            if moment is None:
                code = main(arguments)
            else:
                function, calls = pkgutil.resolve_name(moment.function), itertools.count(1)

                def called(*given: Any, **options: Any) -> Any:
                    if next(calls) == moment.at:
                        began[:] = time.monotonic(), len(said.getvalue().splitlines())
                        self._send(*sent, times=1 + moment.twice)
                    return function(*given, **options)

                with mock.patch(moment.function, called):
                    code = main(arguments)
        seconds = time.monotonic() - began[0]
        try:
            left = bool(os.waitpid(-1, os.WNOHANG))
        except ChildProcessError:
            left = False
        left = left or any(not each.daemon for each in threading.enumerate() if each is not threading.main_thread())
        lines = said.getvalue().splitlines()[began[1] :]
        return {"code": code, "lines": lines, "seconds": seconds, "left": left}

    def _send(self, number: int, whom: Whom, times: int) -> None:
        for _ in range(times):
            (os.killpg if whom == "group" else os.kill)(0 if whom == "group" else os.getpid(), number)


def held(shell: Shell, moment: Moment, number: int, whom: Whom, goes_on_to: str | None) -> tuple[bool, float]:
    """Whether all went as promised, and how long it took; with ``goes_on_to``, also how it ends when it goes on."""
    out = f"out-{next(shell.commands)}"
    found = shell.run(moment.command, out, moment, number, whom).answer
    right = bool(found) and found["code"] == INTERRUPTED and len(found["lines"]) <= 1 and not found["left"]
    right = right and found["seconds"] < SOON
    program = moment.command.split()[0]
    if right and moment.kept == "run":
        right = checkpoint.training_state(shell.folder / out)["step"] >= (4 if moment.twice else 1)
    if right and moment.kept == "run" and goes_on_to:
        again = shell.run(f"{program} train --resume {out} --threads 1 --device cpu").answer
        right = again["code"] == 0 and digest(shell.folder / out) == goes_on_to
    if right and moment.kept == "sound":
        again = shell.run(f"{program} generate --resume {out}.wav").answer
        right = again["code"] == 0 and (shell.folder / f"{out}.wav").stat().st_size == HEADER + 2 * RATE
    if right and " train " in moment.command and not moment.kept:
        right = not (shell.folder / out).exists()
    return right, found["seconds"] if found else 0.0


def together(shell: Shell, number: int) -> bool:
    """Whether two processes that share a run end when the one that started them is asked, and have saved."""
    out, root = shell.folder / f"together-{number}", Path(__file__).parents[2]
    command = f"{sys.executable} -m {SPEECH} -o {out} --procs 2".replace("--steps 12", "--minutes 5")
    with subprocess.Popen(
        shlex.split(command), cwd=shell.folder, env={**os.environ, "PYTHONPATH": str(root)},
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as launcher:  # fmt: skip
        until = time.monotonic() + 120
        while not (out / "metrics.jsonl").exists() and launcher.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
        os.killpg(launcher.pid, number)
        _, said = launcher.communicate(timeout=60)
    last = said.splitlines()[-1:]
    gone = not any(Path(f"/proc/{child}").exists() for child in children)
    return launcher.returncode == INTERRUPTED and gone and "saved; go on with" in "".join(last) and len(children) == 2


def proof(tier: Tier) -> Figure:
    """Every moment, with both signals, to the process and to its group."""
    shell, full = Shell(tier), tier.name == "full"
    whole: dict[str, str] = {}
    if full:
        for name, command in (("VOICE", SPEECH), ("MODEL", f"{PICTURES}0"), ("OTHER", f"{PICTURES}2")):
            shell.run(command, name)
            whole[command] = digest(shell.folder / name)
    pairs = [
        (moment, each)
        for at, moment in enumerate(moments(full))
        for each in (SIGNALS[at : at + 1] if not full else SIGNALS if moment.name == "a step" else SIGNALS[:2])
    ]
    right, slowest, wrong = 0, 0.0, []
    for moment, (number, whom) in pairs:
        known = [end for command, end in whole.items() if moment.command.startswith(command)]
        goes_on_to = known[0] if known and (number, whom) == SIGNALS[0] else None
        good, seconds = held(shell, moment, number, whom, goes_on_to)
        right, slowest = right + good, max(slowest, seconds)
        wrong += [] if good else [f"{moment.name}: {moment.command[:30]}, {signal.Signals(number).name} to the {whom}"]
    teams = (signal.SIGTERM, signal.SIGINT) if full and Path("/proc/self/task").exists() else ()
    ended = sum(together(shell, number) for number in teams)
    more = ", resumed bit-equal" if full else ""
    said = (
        f"{right + ended} of {len(pairs) + len(teams)} ended with exit code 130 and one line, saved{more}, with no "
        f"process or thread left; the slowest after {slowest:.1f} s"
    )
    return Figure(right + ended, len(pairs) + len(teams), said, {"wrong": wrong})


def control(tier: Tier) -> Figure:
    """A loop over torch's ``DataLoader`` with two workers, whose handler asks it to save after the step."""

    def train(path: Path) -> bool:
        sys.stderr = io.StringIO()
        with Interruption() as interruption:
            for at, _ in enumerate(torch.utils.data.DataLoader(torch.zeros(10_000, 8), num_workers=2)):
                if at == 20:
                    os.killpg(0, signal.SIGTERM)
                if at > 20:
                    time.sleep(0.02)  # a step
                if interruption.requested and at > 21:
                    path.write_text("saved")
                    break
        return path.exists()

    count = tier.count(2, 8)
    saved = sum(bool(trial(lambda: train(tier.scratch / f"{at}")).answer) for at in range(count))  # noqa: B023
    return Figure(saved, count, f"{saved} of {count} saved after SIGTERM to the group")


PROMISE = Promise(
    number=4,
    guarantee="Ctrl-C and SIGTERM (`kill`, `timeout`, `docker stop`, `scancel`), to the process or to its group, end a "
    "command after the step or block under way, with exit code 130 and one line: what was done is saved.",
    naive="torch's `DataLoader` with workers",
    proof=proof,
    control=control,
)
