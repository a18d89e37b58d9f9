"""What tests of the command line share."""

from functools import partial

from tests import command_line
from wavenet.cli import main

TINY = [
    "--set", "model.dilations=[1,2,4,8]", "--set", "model.residual_channels=16", "--set", "model.gate_channels=16",
    "--set", "model.skip_channels=16", "--set", "train.targets=256", "--set", "train.previews=1",
    "--set", "train.preview_seconds=0.01", "--set", "train.excerpts=4", "--set", "train.evaluations=1",
]  # fmt: skip


one_line_error = partial(command_line.one_line_error, main)
