"""Commands of both crafts, run in this process; what they say, and whether it is fit for a terminal."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import torchaudio.transforms  # noqa: F401 (or each fork would import it anew)

import segmentation.cli
import segmentation.commands.train
import wavenet.cli
import wavenet.commands.prepare
import wavenet.commands.train

MAINS = {"wavenet": wavenet.cli.main, "segmentation": segmentation.cli.main}


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def printable(self) -> bool:
        """Whether no line of it can change what a terminal shows elsewhere."""
        return all(line.isprintable() for line in (self.out + self.err).replace("\r", "\n").split("\n"))

    def is_one_line_naming(self, name: str) -> bool:
        """Whether it failed in one line that names this, and is no fault of the program."""
        lines = self.err.splitlines()
        return self.code == 1 and len(lines) == 1 and name in lines[0] and "fault of the program" not in lines[0]


def run(program: str, *arguments: object) -> Said:
    """Run one, as a shell would with a pipe behind it."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = MAINS[program]([str(each) for each in arguments])
        except SystemExit as stop:
            code = stop.code
    return Said(code, out.getvalue(), err.getvalue())


def usual(program: str) -> Sequence[str]:
    """Settings with which a run takes a moment."""
    if program == "wavenet":
        return (
            "--set", "model.dilations=[1,2,4,8]", "--set", "model.residual_channels=8", "--set",
            "model.gate_channels=8", "--set", "model.skip_channels=8", "--set", "train.targets=256", "--set",
            "train.previews=1", "--set", "train.preview_seconds=0.01", "--set", "train.excerpts=4", "--set",
            "train.evaluations=1", "--threads", "1",
        )  # fmt: skip
    return (
        "--set", "network.width=8", "--set", "network.channels=16", "--set", "train.batch=2", "--set",
        "train.evaluations=1", "--set", "train.previews=1", "--set", "train.warmup=2", "--crop", "32", "32",
        "--threads", "1",
    )  # fmt: skip
