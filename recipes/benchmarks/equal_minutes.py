"""Equal data, equal CPU minutes, one run: what does our training reach, and what the public way of doing it?

The contenders (``recipes.benchmarks.loops``) take turns in slices of seconds, so that whatever else the machine does
meets them all alike; each has its own CPU clock, and wall time is noted beside it. Bits per sample are of the same
held-back sound for all, in float32, every prediction from its whole receptive field.

    uv run python -m recipes.benchmarks.equal_minutes --data RECORDINGS/ --minutes 20 -o equal_minutes.md
"""

from __future__ import annotations

import json
import math
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from recipes.benchmarks.loops import Learner, contenders
from recipes.benchmarks.machine import Machine, table, using_threads
from recipes.benchmarks.training import CROP, QUICK
from shared import cli
from shared.errors import InputError
from shared.figures import BLUE, GREY, ORANGE, drawn
from shared.files import write_file
from shared.training.machine import keep_memory
from shared.training.progress import ProgressLine
from wavenet.data.recordings import recordings
from wavenet.data.tracks import Tracks
from wavenet.model import PRESETS
from wavenet.run import TrainConfig
from wavenet.yardsticks import Yardsticks, yardsticks

COLOURS = (BLUE, "#56b4e9", ORANGE, "#cc79a7")
PUBLIC = {
    "ibab/tensorflow-wavenet (TensorFlow 2)": 7_450,
    "feldberlin/wavenet": 5_153,
    "r9y9/wavenet_vocoder": 4_946,
    "philgzl/wavenet": 4_644,
    "vincentherrmann/pytorch-wavenet": 3_242,
    "kan-bayashi/PytorchWaveNetVocoder": 3_074,
    "state-spaces/s4's WaveNet": 2_988,
}
"""Targets a second of public trainers on this architecture: one crop of 8192, float32, one thread, forward, backward
and Adam. Measured once on another machine, an AMD EPYC (Zen 4), with torch 2.11."""


@dataclass(frozen=True)
class Row:
    """What became of one contender."""

    contender: str
    precision: str
    steps: int
    cpu_seconds: float
    wall_seconds: float
    targets_per_second: float
    """Of CPU time, as its loop counts targets."""
    complete_targets_per_second: float
    curve: list[tuple[float, float]]
    all_held: float | None
    """Bits over everything that was held back, at the end."""

    @classmethod
    def of(cls, learner: Learner, all_held: float | None) -> Row:
        """As things stand."""
        pace = learner.step / learner.cpu
        precision = str(learner.precision).removeprefix("torch.")
        return cls(
            learner.name, precision, learner.step, learner.cpu, learner.wall, pace * learner.scored,
            pace * learner.complete, list(learner.curve), all_held,
        )  # fmt: skip


def turns(budget: float, marks: int, longest: float) -> list[tuple[float, bool]]:
    """Where each round of slices ends, in CPU seconds, and whether it is a mark, at which everyone is scored.

    >>> turns(60, marks=2, longest=20)
    [(15.0, False), (30.0, True), (45.0, False), (60.0, True)]
    """
    slices = math.ceil(budget / marks / longest)
    return [(budget * at / (marks * slices), at % slices == 0) for at in range(1, marks * slices + 1)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, score, print the table."""
    parser = cli.Parser(prog="benchmarks.equal_minutes", description=__doc__)
    parser.add_argument("--data", required=True, metavar="DIR", help="a folder of recordings")
    parser.add_argument("--minutes", type=cli.positive_float, default=20.0, help="CPU minutes of each (default: 20)")
    parser.add_argument("--marks", type=cli.positive, default=8, metavar="N", help="how often all are scored")
    parser.add_argument("--slice", type=cli.positive_float, default=30.0, metavar="S", help="CPU seconds of a turn")
    parser.add_argument("--preset", choices=PRESETS, default="base", help="which network (default: base)")
    parser.add_argument("--threads", type=cli.positive, default=1, metavar="N", help="torch's (default: 1)")
    parser.add_argument("--quick", action="store_true", help="a toy network: the figures mean nothing")
    parser.add_argument("--json", action="store_true", help="JSON on stdout instead of the table")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FILE", help="write the table there after every round, and .png"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    given = parser.parse_args(arguments)
    return cli.run(parser.prog, lambda: _run(given), given.debug)


def _run(given: Namespace) -> int:
    machine = Machine.here([given.threads])  # before anything here makes it busy
    keep_memory()
    config, crop, trained, network = PRESETS[given.preset], CROP, TrainConfig(), given.preset
    if given.quick:
        config, crop, trained, network = QUICK, 256, TrainConfig(targets=256, excerpts=4), "a toy network"
    if config.receptive_field >= crop:
        raise InputError(f"--preset {given.preset}: sees further than a crop of {crop} samples; take a smaller one")
    title, out = f"Equal CPU minutes, {network}", given.out
    with using_threads(given.threads), ProgressLine("benchmarks.equal_minutes", given.quiet) as line:
        tracks = recordings(given.data).load(trained.validation)
        if not tracks.validation:
            raise InputError(f"{given.data}: nothing left to score on; give at least two recordings")
        few = {"targets": trained.targets, "most": trained.excerpts}
        measured = yardsticks(tracks.train, tracks.validation, config.output, **few)
        field = contenders(config, trained, tracks, crop, 60 * given.minutes)
        schedule = turns(60 * given.minutes, given.marks, given.slice)
        for until, is_mark in schedule:
            for learner in field:
                line.update(until / 60 / given.minutes, learner.name)
                learner.learn(until)
            if is_mark:
                for learner in field:
                    learner.curve.append((until / 60, learner.bits(tracks.validation, **few)))
            last = until == schedule[-1][0]
            rows = [Row.of(each, each.bits(tracks.validation, CROP) if last else None) for each in field]
            text = _page(title, machine, rows, _notes(rows, tracks, measured, trained, crop, config.receptive_field))
            if out is not None:
                write_file(out, text)
                if is_mark:
                    curve(rows, measured, out.with_suffix(".png"))
    if given.json:
        print(json.dumps({"machine": asdict(machine), "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        print(text, end="")
    return 0


def cells(row: Row) -> dict[str, str]:
    """A row of the table."""
    return {
        "contender": row.contender,
        "precision": row.precision,
        **{f"{minutes:.3g} min": f"{bits:.3f}" for minutes, bits in row.curve},
        "all held back": "–" if row.all_held is None else f"**{row.all_held:.3f}**",
        "steps": f"{row.steps:,}",
        "targets/s, as each counts": f"{row.targets_per_second:,.0f}",
        "targets/s with complete context": f"{row.complete_targets_per_second:,.0f}",
        "wall min": f"{row.wall_seconds / 60:.1f}",
    }


def curve(rows: Sequence[Row], measured: Yardsticks, path: Path) -> None:
    """Bits per sample over CPU minutes."""
    with drawn(path, 7, 3.6) as figure:
        axes = figure.add_subplot()
        for row, colour in zip(rows, COLOURS, strict=True):
            axes.plot(*np.array(row.curve).T, color=colour, marker="o", ms=3, label=row.contender)
        axes.axhline(measured.linear_32, color=GREY, lw=1, ls="--", label="linear predictor of order 32")
        axes.set_title("Bits per sample on held-back sound, the same CPU time for each", loc="left")
        axes.set_xlabel("CPU minutes")
        axes.set_ylabel("bits per sample")
        axes.set_xlim(left=0)
        axes.legend(frameon=False, loc="best", fontsize=8)


def _notes(
    rows: Sequence[Row], tracks: Tracks, measured: Yardsticks, trained: TrainConfig, crop: int, field: int
) -> list[str]:
    train, held = tracks.minutes
    ours = rows[0].targets_per_second
    others = ", ".join(f"{name} {rate:,}" for name, rate in PUBLIC.items())
    return [
        f"{train:.1f} minutes to train on, {held:.1f} held back. Bits per sample are of mu-law codes of 256: on the "
        f"way over {trained.excerpts} fixed excerpts of {trained.targets}, at the end over all that is held back; in "
        "float32, with whole context and silence before a recording begins; by the averaged weights of our loop, and "
        f"the last ones of the usual loop. On the excerpts: entropy of the samples alone {measured.order_0:.3f}, "
        f"linear predictor {measured.linear_32:.3f}.",
        f"Our loop: {trained.batch} excerpts of {trained.targets} targets behind {field} samples, AdamW, "
        f"{trained.learning_rate:g} along half a cosine over the budget, average of decay {trained.ema:g}. The usual "
        f"loop: one crop of {crop}, its first {field} targets behind zeros, Adam at a constant rate.",
        "Times are of each contender's own steps, reading included and scoring not; they took turns in one process.",
        f"Public trainers of this architecture, targets/s in float32 on one thread of another machine, measured once: "
        f"{others}. Ours here, in {rows[0].precision}, is {ours / max(PUBLIC.values()):.1f} times the fastest of them; "
        "part of this factor is the newer machine. On this machine it is "
        f"{ours / rows[-1].targets_per_second:.1f} times the public style's in {rows[-1].precision}.",
    ]


def _page(title: str, machine: Machine, rows: Sequence[Row], notes: Sequence[str]) -> str:
    parts = [f"## {title}", machine.markdown(), table([cells(row) for row in rows])]
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in notes)]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
