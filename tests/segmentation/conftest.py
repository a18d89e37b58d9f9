"""What tests of the command line share: a folder of pictures, and a run trained on it for a moment."""

import numpy as np
import pytest
from PIL import Image

from segmentation.cli import main
from segmentation.data.shapes import draw

TINY = [
    "--set", "network.width=8", "--set", "network.channels=16", "--set", "train.batch=2",
    "--set", "train.evaluations=1", "--set", "train.previews=1", "--set", "train.warmup=2", "--crop", "32", "32",
]  # fmt: skip


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """12 pictures of shapes with masks of ids 0 to 3."""
    folder = tmp_path_factory.mktemp("pictures")
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for at in range(12):
        pixels, ids = draw((40, 56), np.random.default_rng(at))
        ids[0] = 255
        Image.fromarray(pixels).save(folder / "images" / f"{at}.png")
        Image.fromarray(ids).save(folder / "masks" / f"{at}.png")
    return folder


@pytest.fixture(scope="session")
def run(pictures, tmp_path_factory):
    """A run folder; copy it before changing it."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    assert main(["train", str(pictures), "-o", str(folder), "--steps", "3", "--threads", "1", "-q", *TINY]) == 0
    return folder
