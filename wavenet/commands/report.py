"""``wavenet report``: a page about a run, to look at and to listen to."""

from __future__ import annotations

import sys
from argparse import Namespace

from shared.errors import InputError
from shared.run_report import destination
from shared.training import machine
from shared.training.progress import ProgressLine
from wavenet.listening import LONGEST, MOST_CLIPS


def run(arguments: Namespace) -> int:
    """Write the page."""
    from wavenet.report import report

    if arguments.clips is not None and arguments.clips > MOST_CLIPS:
        raise InputError(f"--clips {arguments.clips}: a page has room for {MOST_CLIPS}; wavenet generate makes more")
    if arguments.seconds is not None and not 0.01 <= arguments.seconds <= LONGEST:
        raise InputError(f"--seconds {arguments.seconds:g}: a clip on a page lasts 0.01 to {LONGEST:g} s")
    out = destination(arguments)
    machine.use_threads(arguments.threads)
    with ProgressLine("report", arguments.quiet) as line:
        page = report(
            arguments.model, clips=arguments.clips, seconds=arguments.seconds, device=arguments.device, line=line
        )
        page.write(out)
    print(out)
    if not arguments.quiet:
        print(f"{out.stat().st_size / 1e6:.1f} MB, everything in it; it opens in any browser", file=sys.stderr)
    return 0
