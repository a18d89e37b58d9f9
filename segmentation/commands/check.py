"""``segmentation check``: what a folder holds, and what may go wrong with it."""

from __future__ import annotations

import json
from argparse import Namespace
from shlex import quote

from segmentation.check import check as look_through
from segmentation.commands.given import free, source_of
from segmentation.palette import write_png
from shared.training.progress import ProgressLine


def run(arguments: Namespace) -> int:
    """Say what a folder holds and what may go wrong with it; 1 if nothing of it can be used."""
    sheet = free(arguments.sheet, arguments.force) if arguments.sheet else None
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
