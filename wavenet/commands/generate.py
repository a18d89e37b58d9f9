"""``wavenet generate``: WAV files from a trained model, written as they grow."""

from __future__ import annotations

import logging
from argparse import Namespace

from shared.cli import seed_of
from shared.errors import InputError
from shared.training import machine
from wavenet.growing import check_resumed_alone, resume
from wavenet.writing import MOST_CLIPS, write_clips

DEFAULT_SECONDS = 3.0  # of a clip


def run(arguments: Namespace) -> int:
    """Write clips as they grow."""
    logging.getLogger("wavenet").setLevel(logging.ERROR if arguments.quiet else logging.WARNING)
    if arguments.resume:
        check_resumed_alone(arguments, "seconds")
        machine.use_threads(arguments.threads or (1 if len(arguments.resume) == 1 else None))
        return resume(arguments, MOST_CLIPS)
    if not arguments.model:
        raise InputError("generate from what? give a run folder, or --resume CLIP.wav")
    arguments.seconds = arguments.seconds or DEFAULT_SECONDS
    machine.use_threads(arguments.threads or (1 if arguments.number == 1 else None))  # one clip is one thread's work
    return write_clips(arguments, seed_of(arguments))
