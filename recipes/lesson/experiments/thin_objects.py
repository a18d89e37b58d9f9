"""E3. Does pooling lose thin objects? Strokes of five widths, and what each way back to full resolution keeps."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from recipes.lesson.experiments.drawing import BLUE, CORAL, PLUM, TEAL, YELLOW, band, dots, named
from recipes.lesson.experiments.fit import channels_last, fit, held_back, tests
from recipes.lesson.experiments.networks import normed_stack
from recipes.lesson.experiments.trial import Arm, Claim, Experiment, Numbers, Result

SIDE, STEPS, BATCH, STROKES = 48, 250, 8, 3
WIDTHS = (1, 2, 3, 5, 8)
NOISE = 0.2
SCALE, CHANNELS = 8, 16  # how much the pools shrink the picture, and the layers' width


def block(in_channels: int, channels: int) -> nn.Sequential:
    """A 3×3 convolution with batch norm and ReLU."""
    conv = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


def pooled() -> nn.Sequential:
    """Three pools, so that one cell stands for 8×8 pixels: ``[b, 1, h, w] -> [b, c, h/8, w/8]``."""
    wide = block(1, CHANNELS)
    return nn.Sequential(
        wide, nn.MaxPool2d(2), block(CHANNELS, CHANNELS), nn.MaxPool2d(2), block(CHANNELS, CHANNELS), nn.MaxPool2d(2),
        block(CHANNELS, CHANNELS),
    )  # fmt: skip


def with_bilinear() -> nn.Sequential:
    """Pools, then one score a cell, blown up: as FCN and DeepLab end."""
    return nn.Sequential(
        pooled(), nn.Conv2d(CHANNELS, 2, 1), nn.Upsample(scale_factor=SCALE, mode="bilinear", align_corners=False)
    )


def with_shuffle() -> nn.Sequential:
    """Pools, then 8×8 scores a cell, laid out as pixels (dense upsampling, Wang et al. 2018)."""
    return nn.Sequential(pooled(), nn.Conv2d(CHANNELS, 2 * SCALE**2, 1), nn.PixelShuffle(SCALE))


class SmallUNet(nn.Module):
    """Pools too, but what each one loses is handed over to the way back (Ronneberger et al. 2015)."""

    def __init__(self, channels: int = 10):
        super().__init__()
        self.down = nn.ModuleList(block(1 if at == 0 else channels, channels) for at in range(3))
        self.bottom = block(channels, channels)
        self.up = nn.ModuleList(block(2 * channels, channels) for _ in range(3))
        self.last = nn.Conv2d(channels, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``[b, 1, h, w] -> [b, 2, h, w]``, for sides that 8 divides."""
        kept = []
        for down in self.down:
            kept.append(down(x))
            x = F.max_pool2d(kept[-1], 2)
        x = self.bottom(x)
        for up in self.up:
            x = up(torch.cat([F.interpolate(x, scale_factor=2.0), kept.pop()], 1))
        return self.last(x)


SHAPE = (1, SIDE, SIDE)
ARMS = (
    Arm("pool + bilinear", with_bilinear, shape=SHAPE),
    Arm("pool + pixel shuffle", with_shuffle, shape=SHAPE),
    Arm("U-Net", SmallUNet, shape=SHAPE),
    Arm("dilated", partial(normed_stack, (1, 2, 4, 2, 1), 2), shape=SHAPE, rates=(1, 2, 4, 2, 1)),
    Arm("regular", partial(normed_stack, (1,) * 5, 2), shape=SHAPE, rates=(1,) * 5),
)
COLORS = dict(zip((arm.name for arm in ARMS), (CORAL, YELLOW, TEAL, BLUE, PLUM), strict=True))


def strokes(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Straight strokes in noise: inputs ``[b, 1, h, w]``, and the width of the stroke at each pixel, 0 for none.

    Where strokes cross, the width is the wider one's.
    """
    ends = torch.rand(2, 2, count, STROKES, 1, 1, generator=generator) * SIDE
    chosen = torch.randint(len(WIDTHS), (count, STROKES, 1, 1), generator=generator)
    widths = torch.tensor(WIDTHS)[chosen]
    start, way = ends[:, 0], ends[:, 1] - ends[:, 0]
    at = torch.stack(torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")) + 0.5
    from_start = at[:, None, None] - start
    share = ((from_start * way).sum(0) / way.square().sum(0).clamp(min=1e-6)).clamp(0, 1)
    distance = (from_start - share * way).square().sum(0).sqrt()
    covered = torch.where(distance <= widths / 2, widths, 0).amax(1)
    noise = torch.randn(count, SIDE, SIDE, generator=generator)
    return ((covered > 0) + NOISE * noise).unsqueeze(1), covered


@torch.no_grad()
def measure(arm: Arm, seed: int, effort: float) -> Numbers:
    """Recall of each width, and IoU of all strokes."""

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        inputs, widths = strokes(BATCH, generator)
        return inputs, (widths > 0).long()

    with torch.enable_grad():
        network = fit(arm.make(), draw, steps=STEPS * effort, seed=seed)
    inputs, widths = strokes(tests(128, effort), held_back(seed))
    found, true = network(channels_last(inputs)).argmax(1) == 1, widths > 0
    recall = np.array([found[widths == width].float().mean().item() for width in WIDTHS])
    iou = ((found & true).sum() / (found | true).sum()).numpy()
    return {"recall": recall, "iou": iou, "thinnest": recall[0], "widest": recall[-1]}


def judge(result: Result) -> list[Claim]:
    """Pools and a coarse way back lose thin strokes; a skip keeps them for less than dilation costs."""
    thin = {arm.name: result.of(arm.name, "thinnest") for arm in ARMS}
    unet, dilated = (result.experiment.arm(name) for name in ("U-Net", "dilated"))
    wide, iou = result.of("pool + bilinear", "widest"), {arm.name: result.of(arm.name, "iou") for arm in ARMS}
    return [
        Claim.at_each_seed(
            f"after pools and bilinear upsampling {thin['pool + bilinear'].mean():.2f} of the strokes 1 px wide are "
            f"found, {wide.mean():.2f} of those 8 px wide",
            (thin["pool + bilinear"] < 0.5) & (wide > thin["pool + bilinear"] + 0.3),
        ),
        Claim.at_each_seed(
            f"the same pools with a pixel-shuffle head find {thin['pool + pixel shuffle'].mean():.2f} of them: pooling "
            "itself does not lose it all",
            thin["pool + pixel shuffle"] > thin["pool + bilinear"],
        ),
        Claim.at_each_seed(
            f"a U-Net finds {thin['U-Net'].mean():.2f} at {dilated.macs / unet.macs:.1f} times fewer multiply-adds "
            f"than the dilated stack, which finds {thin['dilated'].mean():.2f}",
            (thin["U-Net"] > 0.9) & (np.abs(thin["U-Net"] - thin["dilated"]) < 0.05) & (unet.macs < dilated.macs),
        ),
        Claim.at_each_seed(
            f"the task is local: without dilation, a field of {result.experiment.arm('regular').sees.size}, IoU is "
            f"{iou['regular'].mean():.3f} against {iou['dilated'].mean():.3f}",
            np.abs(iou["regular"] - iou["dilated"]) < 0.02,
        ),
    ]


def draw(result: Result, figure: Figure) -> str:
    """Recall against width, and the IoU of each arm with its cost."""
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    at = np.arange(len(WIDTHS))
    for arm in ARMS:
        band(left, at, result.of(arm.name, "recall"), COLORS[arm.name], marker="o", ms=4)
    ends = [(result.mean(arm.name, "recall")[0], arm.name, COLORS[arm.name]) for arm in ARMS]
    named(left, -0.12, ends, least=0.055)
    for text in left.texts:
        text.set_ha("right")
    left.set_xticks(at, [f"{width} px" for width in WIDTHS])
    left.set_xlim(-1.5, len(WIDTHS) - 0.9)
    left.set_ylim(0, 1.12)
    left.set_title("recall by width of the stroke")
    for at_, arm in enumerate(ARMS):
        dots(right, at_, result.of(arm.name, "iou"), COLORS[arm.name])
    right.set_xticks(
        range(len(ARMS)),
        [f"{arm.name.replace(' + ', ' +' + chr(10))}\n{arm.macs / 1e6:.1f} MMAC" for arm in ARMS], fontsize=7.5,
    )  # fmt: skip
    right.set_ylim(0, 1.1)
    right.set_title("IoU of all strokes, and the cost of one picture")
    lost, kept = result.mean("pool + bilinear", "thinnest"), result.mean("U-Net", "thinnest")
    return (
        f"The way back decides: pools keep {kept:.0%} of 1-px strokes with skips, {lost:.0%} with bilinear upsampling"
    )


EXPERIMENT = Experiment(
    name="thin_objects",
    title="Does pooling lose thin objects?",
    hypothesis=(
        "Output stride 8 with bilinear upsampling loses thin strokes; a pixel-shuffle head gets some of them back and "
        "skips all, for fewer multiply-adds than dilation. The task is local: a small field does as well."
    ),
    arms=ARMS,
    measure=measure,
    judge=judge,
    draw=draw,
    columns={"thinnest": "recall, 1 px", "widest": "recall, 8 px", "iou": "IoU"},
    size=(9.5, 4.2),
    note="Strokes need little context, so that nothing here speaks for a large receptive field.",
)
