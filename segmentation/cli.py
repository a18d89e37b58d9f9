"""The ``segmentation`` command. The package is on its way; until then the command says so."""

from __future__ import annotations

from collections.abc import Sequence

from shared import cli
from shared.cli import Parser
from shared.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Answer ``--help``, and say that there is nothing to run yet."""
    parser = Parser(prog="segmentation", description="DeepLab-style segmentation; no commands in this version.")
    parser.parse_args(argv)

    def command() -> int:
        raise InputError("no commands in this version; `wavenet --help` lists those of the audio side")

    return cli.run("segmentation", command, debug=False)
