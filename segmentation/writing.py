"""``segmentation predict``: masks and what goes with them, written picture by picture, whole at every instant."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch

from segmentation.frames import MASK, OVERLAY, PROBABILITIES, SIDE_BY_SIDE, Frame, frames, targets
from segmentation.model import SegmentationModel
from segmentation.predict import Prediction
from shared.cli import FAILED, INTERRUPTED
from shared.errors import InputError, shown
from shared.training.interruption import Interruption
from shared.training.progress import ProgressLine


def write_masks(arguments: Namespace, model: SegmentationModel, looks: dict[str, Any]) -> int:
    """Predict all pictures; one that cannot be read among several is named, left out, and makes the exit code 1."""
    pictures = frames(arguments.pictures)
    writers = {MASK: Prediction.save}
    if arguments.overlay:
        writers[OVERLAY] = Prediction.save_overlay
    if arguments.side_by_side:
        writers[SIDE_BY_SIDE] = Prediction.save_side_by_side
    if arguments.probabilities:
        writers[PROBABILITIES] = Prediction.save_probabilities
    places = targets(pictures, Path(arguments.out), list(writers), force=arguments.force)
    tiles = {"tile": arguments.tile, "overlap": arguments.overlap, "probabilities": arguments.probabilities}
    refused = 0
    with Interruption() as interruption, ProgressLine("predicting", arguments.quiet) as line:
        for at, (picture, paths) in enumerate(zip(pictures, places, strict=True)):
            if interruption.requested:
                line.say(f"stopped after {at} of {len(pictures)} pictures; what was written is whole")
                return INTERRUPTED
            line.update(at / len(pictures), picture.name)
            try:
                made = _predicted(model, picture, {**looks, **tiles})
            except InputError as error:
                if len(pictures) == 1:
                    raise
                refused += 1
                print(f"segmentation predict: left out: {error}", file=sys.stderr)
                continue
            for path, save in zip(paths, writers.values(), strict=True):
                save(made, path)
            for remark in made.remarks:
                line.say(f"{picture.name}: {remark}")
            print(shown(paths[0]), flush=True)
    return FAILED if refused else 0


def _predicted(model: SegmentationModel, picture: Frame, options: dict[str, Any]) -> Prediction:
    try:
        return model.predict(picture.read(), **options)
    except ValueError as error:  # tiles that this network and picture cannot be cut into
        raise InputError(f"{picture.name}: {error}; change --tile or --overlap") from None
    except (MemoryError, torch.OutOfMemoryError):
        raise InputError(f"{picture.name}: not enough memory; try --tile 512") from None
