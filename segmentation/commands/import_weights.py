"""``segmentation import``: a model folder of published weights."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from shlex import quote

from segmentation.model import ModelConfig, SegmentationModel
from segmentation.palette import VOC, numbered, read_classes
from segmentation.weights import fill, network_of, read_published
from shared.errors import InputError


def run(arguments: Namespace) -> int:
    """Make a model folder of published weights."""
    folder = Path(arguments.out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is there already; choose another name with -o")
    state = read_published(Path(arguments.weights))
    network, count = network_of(state, arguments.weights)
    classes = read_classes(arguments.classes) if arguments.classes else VOC if count == VOC.count else numbered(count)
    if classes.count != count:
        raise InputError(
            f"{arguments.classes}: names {classes.count} classes, the weights know {count}; give all of them"
        )
    model = SegmentationModel(ModelConfig(network=network, classes=classes))
    left = fill(model.network, state, arguments.weights)
    if left:
        raise InputError(f"{arguments.weights}: lacks {', '.join(left)}; it is not a whole model")
    model.save_pretrained(folder)
    print(f"{folder}: DeepLabV3 on ResNet-{network.depth}, {count} classes: {', '.join(classes.names)}")
    print(f"next: segmentation predict {quote(str(folder))} PICTURES -o masks/ --overlay")
    return 0
