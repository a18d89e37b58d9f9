"""What the recipes for sound share: their flags, training, and the commands that follow."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shared import cli
from shared.config import from_json, with_settings
from shared.training import checkpoint
from shared.training.settings import Plan
from wavenet import trainer
from wavenet.cli import main as wavenet
from wavenet.commands.train import finished
from wavenet.data.recordings import recordings
from wavenet.model import WaveNetConfig
from wavenet.run import Run


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One run value, its story, and what is done with the trained model."""

    name: str
    story: str
    data: str
    """What ``--data`` takes, for the help."""
    minutes: float
    """Of training, unless the user says otherwise."""
    run: Run
    """With any ``data``: its path is the user's."""
    then: tuple[str, ...]
    """``wavenet`` commands that follow, with {run}, {data}, {speakers} (all names) and {count} (of them) filled in."""


def perform(recipe: Recipe, argv: Sequence[str] | None = None) -> int:
    """Train by the command line's flags, with the recipe's settings as defaults; then the commands that follow."""
    parser = cli.Parser(prog=recipe.name, description=recipe.story)
    parser.add_argument("--data", required=True, metavar="DIR", help=recipe.data)
    parser.add_argument("-o", "--out", required=True, metavar="RUN", help="run folder; sounds go to RUN/sounds")
    parser.add_argument(
        "--minutes", type=cli.positive_float, help=f"training time (default: {recipe.minutes:g}, unless --steps)"
    )
    parser.add_argument("--steps", type=cli.positive, help="training steps")
    parser.add_argument("--overwrite", action="store_true", help="start again in a folder that holds a run")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="A.B=C", help="one setting")
    cli.common_flags(parser)
    given = parser.parse_args(argv)
    return cli.run(recipe.name, lambda: _performed(recipe, given), given.debug)


def _performed(recipe: Recipe, given: argparse.Namespace) -> int:
    treated = recipe.run.data  # its trim and level are the recipe's
    run = replace(recipe.run, data=replace(treated, path=recordings(given.data).path))
    minutes = given.minutes or (None if given.steps else recipe.minutes)
    plan = Plan(given.steps, minutes, given.device, given.threads, given.quiet)
    outcome = trainer.start(with_settings(run, given.settings), Path(given.out), plan, overwrite=given.overwrite)
    code = finished(outcome)
    common = ["--device", given.device, *(["--threads", str(given.threads)] if given.threads else [])]
    common += ["--quiet"] * given.quiet + ["--debug"] * given.debug
    labels = from_json(WaveNetConfig, checkpoint.load_config(outcome.folder)["model"]).labels
    names = labels.names if labels else ()
    for command in recipe.then:
        code = code or wavenet([*_filled(command, given, names), *common])
    return code


def _filled(command: str, given: argparse.Namespace, names: Sequence[str]) -> Iterator[str]:
    """The command's words; {speakers} is as many words as there are names."""
    for word in command.split():
        if word == "{speakers}":
            yield from names
        else:
            yield word.format(run=given.out, data=given.data, count=len(names))
