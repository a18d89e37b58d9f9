"""``wavenet bench``: samples a second of each engine."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict

from shared.cli import FAILED
from shared.training import machine
from shared.training.progress import ProgressLine
from wavenet.bench import bench
from wavenet.model import WaveNet


def run(arguments: Namespace) -> int:
    """Samples a second of each engine."""
    model = WaveNet.from_pretrained(arguments.model, machine.device_named(arguments.device))
    cores = machine.use_threads(arguments.threads)
    threads = [arguments.threads] if arguments.threads else sorted({1, cores})
    rows = []
    form = "{:10} {:9} {:>7} {:>7} {:>11} {:>9} {:>6} {:>9}"
    if not arguments.json:
        print(form.format("engine", "precision", "streams", "threads", "samples/s", "real time", "right", "start-up"))
    with ProgressLine("measuring", arguments.quiet) as line:
        for row in bench(model, arguments.streams, threads, line.say):
            rows.append(asdict(row))
            if not arguments.json:
                speed, factor, start = row.samples_per_second, row.real_time_factor, row.startup_seconds
                right = "yes" if row.agrees_with_reference else "NO"
                shown = (f"{speed:,.0f}", f"{factor:.3f}", right, f"{start:.2f} s")
                print(form.format(row.engine, row.precision, row.streams, row.threads, *shown), flush=True)
    if arguments.json:
        print(json.dumps(rows, indent=2))
    return 0 if all(row["agrees_with_reference"] for row in rows) else FAILED
