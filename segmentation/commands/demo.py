"""``segmentation demo``: train on shapes drawn on the fly, and write masks of new ones."""

from __future__ import annotations

from argparse import Namespace

from segmentation import demo
from shared.cli import seed_of


def run(arguments: Namespace) -> int:
    """Train on shapes, score on fresh ones, write masks."""
    return demo.run(arguments, seed_of(arguments))
