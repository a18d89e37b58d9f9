"""``wavenet prepare``: what a folder of recordings holds; with ``--out``, a 16 kHz copy of it."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from shlex import quote

from shared.training.progress import ProgressLine
from wavenet.data.folder import scan
from wavenet.data.levels import treated
from wavenet.data.recordings import recordings
from wavenet.data.tracks import RecordedTrack, seconds_of
from wavenet.preparing import write_copies


def run(arguments: Namespace) -> int:
    """Say what a folder holds; with ``--out``, write a 16 kHz copy."""
    with ProgressLine("reading", arguments.quiet) as line:

        def progress(done: int, total: int) -> None:
            line.update(done / total)

        source = recordings(arguments.data, arguments.trim, arguments.level)
        found = scan(arguments.data, progress=progress)
        tracks = [RecordedTrack(each) for each in found.recordings]
        tracks, said = treated(tracks, source.trim, source.level, progress=progress)
        for text in (*found.refused, *found.warnings, *said):
            line.say(text)
        if arguments.out:
            write_copies(found, tracks, Path(arguments.out), overwrite=arguments.force, line=line)
    rates = {f"{rate} Hz": count for rate, count in sorted(found.rates.items())}
    summary = {
        "data": str(arguments.data),
        "files": len(found.recordings),
        "minutes": round(seconds_of(tracks) / 60, 2),
        "rates": rates,
        "refused": list(found.refused),
        "warnings": list(found.warnings),
        "treatment": said,
    }
    if arguments.json:
        print(json.dumps(summary, indent=2))
    else:
        listed = ", ".join(f"{count} at {rate}" for rate, count in rates.items())
        minutes, refused = seconds_of(tracks) / 60, len(found.refused)
        print(f"{len(found.recordings)} files, {minutes:.1f} minutes: {listed}; {refused} refused")
        if arguments.out:
            print(f"16 kHz copy in {arguments.out}")
        print(f"next: wavenet train {quote(str(arguments.out or arguments.data))} --minutes 20")
    return 0
