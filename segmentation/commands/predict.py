"""``segmentation predict``: masks for pictures."""

from __future__ import annotations

from argparse import Namespace

from segmentation.commands.given import looks
from segmentation.model import SegmentationModel
from segmentation.writing import write_masks
from shared.training import machine


def run(arguments: Namespace) -> int:
    """Write masks, and what else is asked for, picture by picture."""
    machine.keep_memory()
    machine.use_threads(arguments.threads)
    model = SegmentationModel.from_pretrained(arguments.model, machine.device_named(arguments.device))
    return write_masks(arguments, model, looks(arguments))
