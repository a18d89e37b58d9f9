"""How fast is a picture segmented, and a training step taken, beside torchvision's DeepLabV3 with the same weights?

Contenders take turns. Weights are random, with batch norms calibrated on the picture, so that activations keep their
size and answers differ from pixel to pixel. torchvision is needed here only.

    uv run python -m recipes.benchmarks.segmentation --picture street.jpg -o segmentation.md
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recipes.benchmarks.machine import Machine, Timing, alternating, common_flags, publish, using_threads
from segmentation.data.shapes import draw
from segmentation.fast import InferenceForm
from segmentation.images import read_image
from segmentation.networks import DeepLabV3, Network
from segmentation.transforms import IMAGENET, resize
from shared import cli
from shared.errors import InputError
from shared.training.progress import ProgressLine

ROUNDS, CLASSES = 5, 21
SIZES = ((360, 480), (520, 520))
PEER = "torchvision, eager"
BATCH, CROP, TRAINED = 4, (256, 256), 11


@dataclass(frozen=True)
class Row:
    """One contender's figures."""

    task: str
    contender: str
    threads: int
    seconds: float
    spread: float
    times_peer: float
    other_pixels: float | None
    """Share of pixels whose class is not the peer's; None where that says nothing."""


def peer(depth: int, classes: int) -> nn.Module:
    """torchvision's DeepLabV3 without the auxiliary head; InputError where torchvision is not installed."""
    try:
        from torchvision.models import segmentation
    except ImportError:
        raise InputError(
            "torchvision is not installed; this benchmark compares with it: pip install torchvision"
        ) from None
    build = getattr(segmentation, f"deeplabv3_resnet{depth}")
    return build(weights=None, weights_backbone=None, num_classes=classes, aux_loss=False)


def calibrated(network: nn.Module, images: Tensor) -> nn.Module:
    """Batch norms as one look at the picture sets them; random weights alone would let activations fade or burst."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the plain mean over all that is seen
    network.train()
    with torch.no_grad():
        network(torch.cat([images, images.flip(-1)]))
    return network.eval()


def predicting(pixels: np.ndarray, threads: int, rounds: int, depth: int) -> list[Row]:
    """The same weights, three ways, and output stride 16, which is another network."""
    height, width = pixels.shape[:2]
    images = IMAGENET.tensor(pixels).contiguous()
    theirs = calibrated(peer(depth, CLASSES), images)
    ours = DeepLabV3(depth=depth).build(CLASSES)
    ours.load_state_dict(theirs.state_dict())
    coarse = calibrated(DeepLabV3(depth=depth, output_stride=16).build(CLASSES), images)
    forms: dict[str, Callable[[Tensor], Tensor]] = {
        PEER: lambda x: theirs(x)["out"],
        "atrous, float32": InferenceForm(ours.eval()),
        "atrous, --fast (bfloat16)": InferenceForm(ours.eval(), bfloat16=True),
        "atrous, output stride 16": InferenceForm(coarse.eval()),
        "atrous, output stride 16, --fast": InferenceForm(coarse.eval(), bfloat16=True),
    }
    with torch.inference_mode(), using_threads(threads):
        answers = {name: form(images).argmax(1) for name, form in forms.items()}
        seconds = alternating({name: lambda form=form: form(images).argmax(1) for name, form in forms.items()}, rounds)
    return _rows(f"DeepLabV3-R{depth}, {width}×{height}", threads, seconds, {
        name: float((answers[name] != answers[PEER]).float().mean()) for name in forms if "stride" not in name
    })  # fmt: skip


def training(threads: int, rounds: int, depth: int, crop: tuple[int, int] = CROP) -> list[Row]:
    """One step of SGD on a batch of crops."""
    images = torch.randn(BATCH, 3, *crop)
    masks = torch.randint(0, TRAINED, (BATCH, *crop))

    def step(network: nn.Module, logits: Callable[[Any], Tensor], last: bool, half: bool) -> Callable[[], None]:
        network.train()
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
        form = torch.channels_last if last else torch.contiguous_format
        network.to(memory_format=form)
        batch = images.contiguous(memory_format=form)

        def call() -> None:
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = F.cross_entropy(logits(network(batch)).float(), masks)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        return call

    config: Network = DeepLabV3(depth=depth)
    contenders = {
        PEER: step(peer(depth, TRAINED), lambda out: out["out"], False, False),
        "atrous, float32": step(config.build(TRAINED), lambda out: out, True, False),
        "atrous, bfloat16": step(config.build(TRAINED), lambda out: out, True, True),
    }
    with using_threads(threads):
        seconds = alternating(contenders, rounds)
    return _rows(f"a training step, DeepLabV3-R{depth}, {BATCH} × {crop[1]}×{crop[0]}", threads, seconds, {})


def _rows(task: str, threads: int, seconds: dict[str, list[float]], other: dict[str, float]) -> list[Row]:
    found = {name: Timing.of(each) for name, each in seconds.items()}
    return [
        Row(task, name, threads, timing.seconds, timing.spread, found[PEER].seconds / timing.seconds, other.get(name))
        for name, timing in found.items()
    ]


def cells(row: Row) -> dict[str, str]:
    """A row of the table."""
    return {
        "what": row.task,
        "contender": row.contender,
        "threads": str(row.threads),
        "ms": f"{1e3 * row.seconds:,.0f}",
        "spread": f"{row.spread:.0%}",
        "× torchvision": f"{row.times_peer:.2f}",
        "other pixels": "–" if row.other_pixels is None else f"{row.other_pixels:.3%}",
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table."""
    parser = cli.Parser(prog="benchmarks.segmentation", description=__doc__)
    parser.add_argument("--picture", metavar="FILE", help="a picture to predict (default: drawn shapes)")
    parser.add_argument("--depth", type=int, choices=[50, 101], default=50, help="of the ResNet (default: 50)")
    common_flags(parser, threads=[1], rounds=ROUNDS)
    given = parser.parse_args(arguments)
    return cli.run(parser.prog, lambda: _run(given), given.debug)


def _run(given: Namespace) -> int:
    machine = Machine.here(given.threads)  # before anything here makes it busy
    rounds, sizes, crop = given.rounds or ROUNDS, SIZES, CROP
    if given.quick:
        rounds, sizes, crop = given.rounds or 1, ((33, 49),), (33, 33)
    whole = read_image(Path(given.picture)).pixels if given.picture else draw((360, 480), np.random.default_rng(0))[0]
    torch.manual_seed(0)
    rows: list[Row] = []
    with ProgressLine("benchmarks.segmentation", given.quiet) as line:
        for threads in given.threads:
            for at, size in enumerate(sizes):
                line.update(at / (len(sizes) + 1), f"predicting {size[1]}×{size[0]}, {threads} thread(s)")
                rows += predicting(resize(whole, size), threads, rounds, given.depth)
            line.update(len(sizes) / (len(sizes) + 1), f"training, {threads} thread(s)")
            rows += training(threads, rounds, given.depth, crop)
    notes = [
        f"Medians of {rounds} rounds in which all take turns; spread is (slowest − fastest) / median. Both have the "
        "same weights, random, with batch norms calibrated on the picture; neither computes an auxiliary head.",
        "Other pixels: share whose class is not torchvision's. With random weights classes lie close together, so "
        "bfloat16 changes far more of them than in a trained network.",
    ]
    if given.quick:
        notes.insert(0, "A quick run: these figures mean nothing.")
    publish("Segmenting pictures", machine, rows, cells, notes, as_json=given.json, out=given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
