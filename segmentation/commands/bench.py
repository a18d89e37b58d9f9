"""``segmentation bench``: pictures a second on this machine."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict

from segmentation.bench import bench as measure
from segmentation.model import SegmentationModel
from shared.training import machine
from shared.training.progress import ProgressLine


def run(arguments: Namespace) -> int:
    """Pictures a second."""
    threads = machine.use_threads(arguments.threads)
    model = SegmentationModel.from_pretrained(arguments.model, machine.device_named(arguments.device))
    with ProgressLine("measuring", arguments.quiet) as line:
        rows = measure(model, tuple(arguments.size), threads, lambda share, text: line.update(share, text))
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    print(f"{'form':24} {'ms a picture':>12} {'times plain':>11} {'other pixels':>12}")
    for row in rows:
        print(f"{row.form:24} {1000 * row.seconds:12.0f} {row.times_plain:11.2f} {row.other_pixels:12.3%}")
    return 0
