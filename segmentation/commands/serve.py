"""``segmentation serve``: a page to drop pictures on."""

from __future__ import annotations

from argparse import Namespace

from segmentation import serve


def run(arguments: Namespace) -> int:
    """Serve a page to drop pictures on."""
    return serve.run(arguments)
