"""``segmentation report``: a page about a run."""

from __future__ import annotations

from argparse import Namespace

from segmentation import report


def run(arguments: Namespace) -> int:
    """Write a page about a run."""
    return report.run(arguments)
