"""E2. Do holes hurt? Arms of equal receptive field, parameters and multiply-adds, with and without gaps."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from recipes.lesson.experiments.drawing import BLUE, CORAL, INK, TEAL, bare, dots
from recipes.lesson.experiments.fit import channels_last, fit, held_back, tests
from recipes.lesson.experiments.networks import normed_stack
from recipes.lesson.experiments.trial import Arm, Claim, Experiment, Numbers, Result
from shared import rf
from shared.schedules import linear

SIDE, STEPS, BATCH = 48, 200, 8
NOISE = 0.8
HALF_WIDTH = 1.0  # of a curve, so that it is 2 px thick


def _arm(name: str, rates: tuple[int, ...]) -> Arm:
    return Arm(name, partial(normed_stack, rates, 2), rf.stack(3, rates), (1, SIDE, SIDE), rates)


GRIDDED = _arm("all 3", (3,) * 5)
TAIL = _arm("falling", (5, 5, 3, 1, 1))
ARMS = (GRIDDED, _arm("linear", linear(5)), _arm("sawtooth", (1, 5, 3, 1, 5)), TAIL, _arm("regular", (1,) * 5))


def curves(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sine curves 2 px thick under noise: inputs ``[b, 1, h, w]`` and masks ``[b, h, w]``."""
    middle, height, cycles, phase = (torch.rand(4, count, 1, 1, generator=generator) - 0.5).unbind()
    column = torch.arange(SIDE).view(1, 1, -1) / SIDE
    line = SIDE * (0.5 + 0.4 * middle + 0.3 * height * torch.sin(2 * torch.pi * (column * (2 + 2 * cycles) + phase)))
    masks = (torch.arange(SIDE).view(1, -1, 1) - line).abs() < HALF_WIDTH
    noise = torch.randn(count, SIDE, SIDE, generator=generator)
    return (masks + NOISE * noise).unsqueeze(1), masks.long()


def high_share(maps: Tensor) -> Tensor:
    """The share of a map's energy, its mean apart, above a quarter cycle a pixel: ``[b, h, w] -> [b]``.

    A checkerboard has all of it there.

    >>> float(high_share(torch.eye(2).repeat(4, 4)[None]))
    1.0
    """
    energy = torch.fft.fft2(maps - maps.mean((1, 2), keepdim=True)).abs().square()
    rows, columns = (torch.fft.fftfreq(size).abs() for size in maps.shape[1:])
    high = torch.maximum(rows[:, None], columns[None]) > 0.25
    return energy[:, high].sum(1) / energy.sum((1, 2))


@torch.no_grad()
def measure(arm: Arm, seed: int, effort: float) -> Numbers:
    """IoU of the curves and the high share of the predicted probabilities, on fresh pictures."""
    with torch.enable_grad():
        network = fit(arm.make(), partial(curves, BATCH), steps=STEPS * effort, seed=seed)
    inputs, masks = curves(tests(128, effort), held_back(seed))
    scores = network(channels_last(inputs))
    found, true = scores.argmax(1) == 1, masks == 1
    shares = scores.softmax(1)[:, 1]
    wavy = masks.amax(2).sum(1).argmax()  # the curve over the most rows, for the figure
    return {
        "iou": ((found & true).sum() / (found | true).sum()).numpy(),
        "high": high_share(shares).mean().numpy(),
        "map": shares[wavy].numpy(),
        "input": inputs[wavy, 0].numpy(),
        "mask": masks[wavy].numpy(),
    }


def judge(result: Result) -> list[Claim]:
    """The gridded arm is below every gap-free one of its size, and its maps are rougher."""
    same = [arm for arm in ARMS if arm is not GRIDDED and arm.sees.size == GRIDDED.sees.size]
    iou, high = (np.array([result.of(arm.name, name) for arm in same]) for name in ("iou", "high"))
    regular = next(arm for arm in ARMS if arm.sees.size < GRIDDED.sees.size)
    return [
        Claim.at_each_seed(
            f"of four fields of {GRIDDED.sees.size} the one with holes ({GRIDDED.sees.coverage_in(2):.0%} of the "
            f"square is read) has the lowest IoU: {result.shown(GRIDDED.name, 'iou')}, the others {iou.min():.3f} "
            f"to {iou.max():.3f}",
            result.of(GRIDDED.name, "iou") < iou.min(0),
        ),
        Claim.at_each_seed(
            f"its maps are the roughest: {result.shown(GRIDDED.name, 'high')} of their energy is above a quarter "
            f"cycle a pixel, the others' at most {high.max():.3f}",
            result.of(GRIDDED.name, "high") > high.max(0),
        ),
        Claim.at_each_seed(
            f"even a field of {regular.sees.size} without holes beats it: {result.shown(regular.name, 'iou')}",
            result.of(regular.name, "iou") > result.of(GRIDDED.name, "iou"),
        ),
    ]


def draw(result: Result, figure: Figure) -> str:
    """The same picture as every arm sees it, above the scores."""
    above, below = figure.subfigures(2, 1, height_ratios=[0.82, 1])
    first = {arm.name: result.numbers[arm.name][0] for arm in ARMS}
    truth = first[GRIDDED.name]
    pictures = [("input", truth["input"]), ("truth", truth["mask"])]
    pictures += [(arm.name, first[arm.name]["map"]) for arm in ARMS]
    for axes, (name, picture) in zip(above.subplots(1, len(pictures)), pictures, strict=True):
        axes.imshow(picture, cmap="Greys", interpolation="nearest", vmin=None if name == "input" else 0)
        axes.set_title(name, fontsize=9)
        bare(axes)
    left, right = below.subplots(1, 2)
    for at, arm in enumerate(ARMS):
        color = CORAL if arm is GRIDDED else BLUE if arm.sees.size == GRIDDED.sees.size else TEAL
        dots(left, at, result.of(arm.name, "iou"), color)
        dots(right, at, result.of(arm.name, "high"), color)
    names = [f"{arm.name}\n{','.join(map(str, arm.rates))}\nfield {arm.sees.size}" for arm in ARMS]
    for axes, title in ((left, "IoU of the curve"), (right, "energy above ¼ cycle a pixel: roughness")):
        axes.set_title(title, color=INK)
        axes.set_xticks(range(len(ARMS)), names, fontsize=8)
        axes.margins(y=0.16)
        axes.set_ylim(bottom=0)
    confirmed = result.verdict.kind == "confirmed"
    iou = result.mean(GRIDDED.name, "iou"), result.mean("linear", "iou")
    if confirmed:
        return f"At equal field, parameters and cost, holes take the IoU from {iou[1]:.2f} down to {iou[0]:.2f}"
    return f"At equal field, parameters and cost: IoU {iou[0]:.2f} with holes, {iou[1]:.2f} without"


EXPERIMENT = Experiment(
    name="gridding",
    title="Do holes in the receptive field hurt?",
    hypothesis=(
        "With receptive field, parameters and multiply-adds equal, the arm that skips inputs finds thin noisy curves "
        "worse than every arm that reads all of its field, and its maps show the grid."
    ),
    arms=ARMS,
    measure=measure,
    judge=judge,
    draw=draw,
    columns={"iou": "IoU", "high": "energy above ¼"},
    size=(9.5, 4.7),
)
