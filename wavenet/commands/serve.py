"""``wavenet serve``: a page to draw sound on."""

from __future__ import annotations

from argparse import Namespace


def run(arguments: Namespace) -> int:
    """Serve until Ctrl-C."""
    from wavenet.serve import run

    return run(arguments)
