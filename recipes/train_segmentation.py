"""Street scenes from scratch: DeepLabV3+ on a ResNet-18, no weights from elsewhere, on pictures like CamVid's.

The checkpoint is the last one: none is chosen by a validation set. ``--val`` names pictures that only watch; scores to
report come from ``segmentation evaluate`` on a test set of its own.

    uv run python recipes/train_segmentation.py --data camvid/train --val camvid/val --classes camvid/classes.csv \
        -o runs/camvid --minutes 30
    uv run segmentation evaluate runs/camvid camvid/test
"""

import argparse
import sys
from pathlib import Path

from segmentation import trainer
from segmentation.commands.given import source_of
from segmentation.commands.train import finished
from segmentation.losses import CrossEntropy
from segmentation.networks import PRESETS
from segmentation.run import Run, TrainConfig
from segmentation.transforms import Augmentation
from shared import cli
from shared.config import with_settings
from shared.training.settings import Plan

NETWORK = PRESETS["fast"]
TRAIN = TrainConfig(
    batch=6,
    learning_rate=3e-3,
    loss=CrossEntropy(weights="log"),
    augmentation=Augmentation(crop=(240, 320), scale=(0.5, 1.2)),  # whole pictures at half size up to close looks
    evaluations=4,
    pictures=20,
)


def main() -> int:
    """Train by the command line's flags, with this recipe's settings as defaults."""
    parser = cli.Parser(
        prog="train_segmentation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, metavar="DATA", help="a folder with images/ and masks/")
    parser.add_argument("--val", metavar="DATA", help="another such folder, to watch on")
    parser.add_argument("--classes", metavar="CSV", help="table of the classes: value, name, colour")
    parser.add_argument("-o", "--out", required=True, metavar="RUN", help="run folder")
    parser.add_argument("--minutes", type=cli.positive_float, help="training time (default: 30, unless --steps)")
    parser.add_argument("--steps", type=cli.positive, help="training steps")
    parser.add_argument("--overwrite", action="store_true", help="start again in a folder that holds a run")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="A.B=C", help="one setting")
    cli.common_flags(parser)
    arguments = parser.parse_args()

    def command() -> int:
        data = source_of(arguments.data, arguments.classes, "auto", arguments.val)
        run = with_settings(Run(data=data, network=NETWORK, train=TRAIN), arguments.settings)
        minutes = arguments.minutes or (None if arguments.steps else 30.0)
        plan = Plan(arguments.steps, minutes, arguments.device, arguments.threads, arguments.quiet)
        return finished(trainer.start(run, Path(arguments.out), plan, overwrite=arguments.overwrite))

    return cli.run("train_segmentation", command, arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
