"""``python -m recipes.lesson.experiments``: run the experiments, print a table and a verdict each."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg

from recipes.lesson.experiments import EXPERIMENTS
from recipes.lesson.experiments.runner import cores, run_all
from recipes.lesson.experiments.trial import Experiment, Job, Result
from shared.cli import Parser, positive, run
from shared.errors import InputError

PROGRAM = "experiments"
DPI = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = Parser(prog=PROGRAM, description=__doc__)
    names = ", ".join(experiment.name for experiment in EXPERIMENTS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {names}; default: all")
    parser.add_argument("--seeds", type=positive, default=3, metavar="N", help="seeds of each arm (default: 3)")
    parser.add_argument("--workers", type=positive, default=cores(), metavar="N", help="processes; default: the cores")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="write each figure there as PNG")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    given = parser.parse_args(arguments)

    def answer() -> None:
        chosen = [named(name) for name in given.names] or list(EXPERIMENTS)
        if given.out:
            given.out.mkdir(parents=True, exist_ok=True)
        results = run_all(chosen, range(given.seeds), workers=given.workers, progress=None if given.quiet else progress)
        for name, result in results.items():
            if given.out:
                with (given.out / f"{name}.png").open("wb") as file:
                    FigureCanvasAgg(result.figure()).print_figure(file, dpi=DPI, format="png")
        if given.json:
            print(json.dumps({name: result.to_dict() for name, result in results.items()}, indent=2))
        else:
            print("\n\n".join(report(result) for result in results.values()))

    return run(PROGRAM, answer, given.debug)


def named(name: str) -> Experiment:
    """The experiment of this name."""
    known = {experiment.name: experiment for experiment in EXPERIMENTS}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}"
        raise InputError(f"{name}: there is no such experiment; {advice}")
    return known[name]


def progress(done: int, total: int, job: Job) -> None:
    """One line a trial, on stderr."""
    print(f"{done}/{total} {job.experiment.name}: {job.arm}, seed {job.seed}", file=sys.stderr)


def report(result: Result) -> str:
    """Question, hypothesis, a table in Markdown, verdict."""
    rows = result.rows()
    lines = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0]), *(" | ".join(row.values()) for row in rows)]
    table = "\n".join(f"| {line} |" for line in lines)
    experiment = result.experiment
    parts = [f"## {experiment.title}", experiment.hypothesis, table, str(result.verdict), experiment.note]
    return "\n\n".join(part for part in parts if part)


if __name__ == "__main__":
    sys.exit(main())
