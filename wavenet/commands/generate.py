"""``wavenet generate``: WAV files from a trained model, written as they grow."""

from __future__ import annotations

import logging
from argparse import Namespace

from shared.cli import seed_of
from shared.errors import InputError
from shared.training import machine
from wavenet.writing import resume_clips, write_clips

DEFAULT_SECONDS = 3.0  # of a clip


def run(arguments: Namespace) -> int:
    """Write clips as they grow."""
    logging.getLogger("wavenet").setLevel(logging.ERROR if arguments.quiet else logging.WARNING)
    if arguments.resume:
        others = ("out", "number", "temperature", "prompt", "prompt_seconds", "precision", "force", "seed")
        if any(getattr(arguments, name) != arguments.parser.get_default(name) for name in others):
            raise InputError(
                "--resume takes everything from the note beside the clip; only RUN, --seconds, --engine go with it"
            )
        machine.use_threads(arguments.threads or 1)
        return resume_clips(arguments)
    if not arguments.model:
        raise InputError("generate from what? give a run folder, or --resume CLIP.wav")
    arguments.seconds = arguments.seconds or DEFAULT_SECONDS
    machine.use_threads(arguments.threads or (1 if arguments.number == 1 else None))  # one clip is one thread's work
    return write_clips(arguments, seed_of(arguments))
