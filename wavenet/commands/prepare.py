"""``wavenet prepare``: what a folder of recordings holds; with ``--out``, a 16 kHz copy of it."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from shlex import quote

from shared.training.progress import ProgressLine
from wavenet.data.folder import scan
from wavenet.preparing import write_copies


def run(arguments: Namespace) -> int:
    """Say what a folder holds; with ``--out``, write a 16 kHz copy."""
    with ProgressLine("reading", arguments.quiet) as line:
        found = scan(arguments.data, progress=lambda done, total: line.update(done / total))
        for text in (*found.refused, *found.warnings):
            line.say(text)
        if arguments.out:
            write_copies(found, Path(arguments.out), overwrite=arguments.force, line=line)
    rates = {f"{rate} Hz": count for rate, count in sorted(found.rates.items())}
    summary = {
        "data": str(arguments.data),
        "files": len(found.recordings),
        "minutes": round(found.seconds / 60, 2),
        "rates": rates,
        "refused": list(found.refused),
        "warnings": list(found.warnings),
    }
    if arguments.json:
        print(json.dumps(summary, indent=2))
    else:
        listed = ", ".join(f"{count} at {rate}" for rate, count in rates.items())
        print(
            f"{len(found.recordings)} files, {found.seconds / 60:.1f} minutes: {listed}; {len(found.refused)} refused"
        )
        if arguments.out:
            print(f"16 kHz copy in {arguments.out}")
        print(f"next: wavenet train {quote(str(arguments.out or arguments.data))} --minutes 20")
    return 0
