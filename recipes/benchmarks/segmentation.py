"""How fast is a picture segmented, and a training step taken, beside torchvision's DeepLabV3 with the same weights?

Contenders take turns. Weights are random, with batch norms calibrated on the picture, so that activations keep their
size, and the last layer fitted to colours of the picture, so that classes lie apart as after training. Memory is the
peak of a process of its own that predicts once. torchvision is needed here only.

    uv run python -m recipes.benchmarks.segmentation --picture street.jpg -o segmentation.md
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import run as run_process
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
FORMS = {  # ours: output stride, bfloat16
    "atrous, float32": (8, False),
    "atrous, --fast (bfloat16)": (8, True),
    "atrous, output stride 16": (16, False),
    "atrous, output stride 16, --fast": (16, True),
}
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
    other_pixels: float | None = None
    """Share of pixels whose class is not the peer's; None where that says nothing."""
    margin: float | None = None
    """The largest lead, in probability, that the peer's class had over ours at those pixels."""
    memory: int | None = None
    """Peak of a process that predicts once, in bytes; None for training."""


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


def fitted(network: nn.Module, images: Tensor) -> nn.Module:
    """The last layer by least squares: one class for each of so many ranges of brightness and warmth."""
    seen: list[Tensor] = []
    last = network.classifier[-1]
    hook = last.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        network(images)
        hook.remove()
        features = seen[0].flatten(2)[0].t().double()
        small = F.adaptive_avg_pool2d(images, seen[0].shape[-2:])[0].flatten(1).double()
        warmth = _ranges(small[0] - small[2], 3)
        classes = F.one_hot(warmth * (CLASSES // 3) + _ranges(small.mean(0), CLASSES // 3), CLASSES).double()
        features = torch.cat([features, torch.ones_like(features[:, :1])], 1)
        both = features.t() @ features
        weights = torch.linalg.solve(
            both + 1e-2 * both.diagonal().mean() * torch.eye(len(both)), features.t() @ classes
        )
        scale = 3 / float((features @ weights).std())  # logits spread about as a trained network's do
        last.weight.copy_(scale * weights[:-1].t()[:, :, None, None])
        last.bias.copy_(scale * weights[-1])
    return network


def _ranges(values: Tensor, count: int) -> Tensor:
    """Which of ``count`` equally frequent ranges each value lies in."""
    return torch.bucketize(values, values.quantile(torch.linspace(0, 1, count + 1)[1:-1].double()))


def ours(depth: int, output_stride: int, bfloat16: bool, state: dict[str, Tensor] | None = None) -> InferenceForm:
    """Our form with these weights, or with random ones."""
    network = DeepLabV3(depth=depth, output_stride=output_stride).build(CLASSES)
    if state:
        network.load_state_dict(state)
    return InferenceForm(network.eval(), bfloat16=bfloat16)


def predicting(pixels: np.ndarray, threads: int, rounds: int, depth: int) -> list[Row]:
    """Time, answers and memory: the same weights in three forms, and output stride 16, which is another network."""
    height, width = pixels.shape[:2]
    images = IMAGENET.tensor(pixels).contiguous()
    theirs = fitted(calibrated(peer(depth, CLASSES), images), images)
    coarse = DeepLabV3(depth=depth, output_stride=16).build(CLASSES)
    coarse.load_state_dict(theirs.state_dict())
    states = {8: theirs.state_dict(), 16: fitted(calibrated(coarse, images), images).state_dict()}
    forms: dict[str, Callable[[Tensor], Tensor]] = {PEER: lambda x: theirs(x)["out"]}
    forms |= {name: ours(depth, stride, half, states[stride]) for name, (stride, half) in FORMS.items()}
    with torch.inference_mode(), using_threads(threads):
        answers = {name: form(images).argmax(1, keepdim=True) for name, form in forms.items()}
        chances = theirs(images)["out"].softmax(1)
        seconds = alternating({name: lambda form=form: form(images).argmax(1) for name, form in forms.items()}, rounds)
    rows = []
    for row in _rows(f"DeepLabV3-R{depth}, {width}×{height}", threads, seconds):
        answer, expected = answers[row.contender], answers[PEER]
        other = answer != expected
        lead = (chances.gather(1, expected) - chances.gather(1, answer))[other]
        memory = peak(row.contender, (height, width), threads, depth)
        if FORMS.get(row.contender, (8, False))[0] == 8:
            margin = float(lead.max()) if len(lead) else 0.0
            row = replace(row, other_pixels=float(other.float().mean()), margin=margin)
        rows.append(replace(row, memory=memory))
    return rows


def peak(contender: str, size: tuple[int, int], threads: int, depth: int) -> int:
    """Bytes that a fresh process holds at most while it builds one form, of random weights, and predicts with it."""
    code = f"from recipes.benchmarks.segmentation import once; once({contender!r}, {size}, {threads}, {depth})"
    return int(run_process([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def once(contender: str, size: tuple[int, int], threads: int, depth: int) -> None:
    """Predict one picture, then print the peak of this process in bytes (Linux)."""
    torch.set_num_threads(threads)
    images = torch.randn(1, 3, *size)
    with torch.inference_mode():
        if contender == PEER:
            peer(depth, CLASSES).eval()(images)["out"].argmax(1)
        else:
            ours(depth, *FORMS[contender])(images).argmax(1)
    status = Path("/proc/self/status").read_text(encoding="ascii")  # getrusage would count the parent's peak too
    print(1024 * int(status.partition("VmHWM:")[2].split()[0]))


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
    return _rows(f"a training step, DeepLabV3-R{depth}, {BATCH} × {crop[1]}×{crop[0]}", threads, seconds)


def _rows(task: str, threads: int, seconds: dict[str, list[float]]) -> list[Row]:
    found = {name: Timing.of(each) for name, each in seconds.items()}
    return [
        Row(task, name, threads, timing.seconds, timing.spread, found[PEER].seconds / timing.seconds)
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
        "peak MB": "–" if row.memory is None else f"{row.memory / 1e6:,.0f}",
        "other pixels": "–" if row.other_pixels is None else f"{row.other_pixels:.4%}",
        "their largest margin": "–" if row.margin is None else f"{row.margin:.0e}",
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
        "same weights: random, batch norms calibrated on the picture, last layer fitted to its colours. Neither "
        "computes an auxiliary head. Peak: of a process that builds one network and predicts one picture.",
        "Other pixels: share whose class is not torchvision's; margin: the most probability by which torchvision "
        "preferred its own. What bfloat16 costs a trained network is measured in recipes/README.md.",
    ]
    if given.quick:
        notes.insert(0, "A quick run: these figures mean nothing.")
    publish("Segmenting pictures", machine, rows, cells, notes, as_json=given.json, out=given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
