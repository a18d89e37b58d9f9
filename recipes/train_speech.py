"""A voice from ten minutes of it: the `small` WaveNet on one speaker.

The network (20 layers, receptive field 0.128 s) has no text and no labels; it learns to babble in the speaker's
voice. What it reaches in 20 minutes on 2 cores stands in ``recipes/README.md``, with the command.

    uv run python recipes/train_speech.py --data RECORDINGS/ -o runs/speech --minutes 20
    uv run wavenet generate runs/speech --seconds 3
"""

import argparse
import sys
from pathlib import Path

from shared import cli
from shared.config import with_settings
from shared.training.settings import Plan
from wavenet import trainer
from wavenet.commands.train import finished, source_of
from wavenet.model import PRESETS
from wavenet.run import Run, TrainConfig

MODEL = PRESETS["small"]
TRAIN = TrainConfig(batch=4, targets=2048, learning_rate=8e-3)


def main() -> int:
    """Train by the command line's flags, with this recipe's settings as defaults."""
    parser = cli.Parser(prog="train_speech", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="DIR", help="a folder of one speaker's recordings")
    parser.add_argument("-o", "--out", required=True, metavar="RUN", help="run folder")
    parser.add_argument("--minutes", type=cli.positive_float, help="training time (default: 20, unless --steps)")
    parser.add_argument("--steps", type=cli.positive, help="training steps")
    parser.add_argument("--overwrite", action="store_true", help="start again in a folder that holds a run")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="A.B=C", help="one setting")
    cli.common_flags(parser)
    arguments = parser.parse_args()

    def command() -> int:
        run = Run(data=source_of(arguments.data, None), model=MODEL, train=TRAIN)
        minutes = arguments.minutes or (None if arguments.steps else 20.0)
        plan = Plan(arguments.steps, minutes, arguments.device, arguments.threads, arguments.quiet)
        run = with_settings(run, arguments.settings)
        return finished(trainer.start(run, Path(arguments.out), plan, overwrite=arguments.overwrite))

    return cli.run("train_speech", command, arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
