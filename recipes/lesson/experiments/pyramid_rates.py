"""E4. Which rates for a pyramid? ASPP has to tell rings of three radii by colouring them in."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from recipes.lesson.experiments.drawing import BLUE, CORAL, TEAL, bare, dots
from recipes.lesson.experiments.fit import channels_last, fit, held_back, tests
from recipes.lesson.experiments.networks import normed_stack
from recipes.lesson.experiments.trial import Arm, Claim, Experiment, Numbers, Result
from segmentation.heads.aspp import ASPPModule
from segmentation.metrics import Confusion
from shared import rf

SIDE, STEPS, BATCH, CHANNELS = 32, 250, 8, 12
RADII = (3, 6, 12)
NOISE, HALF_WIDTH = 0.2, 0.7
CLASSES = len(RADII) + 1
WEIGHTS = (0.5, *(RADII[-1] / radius for radius in RADII))  # of the loss: small rings have few pixels


def pyramid(rates: tuple[int, ...]) -> nn.Sequential:
    """Two plain layers, ASPP without its pooled branch, and a 1×1: ``[b, 1, h, w] -> [b, 4, h, w]``."""
    module = ASPPModule(CHANNELS, CHANNELS, rates, dropout=0.0, image_pooling=False)
    return nn.Sequential(normed_stack((1, 1), CHANNELS, channels=CHANNELS), module, nn.Conv2d(CHANNELS, CLASSES, 1))


def _arm(rates: tuple[int, ...]) -> Arm:
    branches = rf.conv(1) | rf.conv(3, rates[0]) | rf.conv(3, rates[1]) | rf.conv(3, rates[2])
    name = ", ".join(map(str, rates))
    return Arm(name, partial(pyramid, rates), rf.stack(3, (1, 1)) >> branches, (1, SIDE, SIDE), rates)


ARMS = tuple(_arm(rates) for rates in ((1, 1, 1), (1, 2, 3), (3, 6, 12), (6, 12, 18), (12, 24, 36), (31, 31, 31)))


def taps(arm: Arm) -> float:
    """The share of the dilated branches' taps that fall on the map, over all places."""
    return float(np.mean([rf.valid_share(rate, SIDE) for rate in arm.rates]))


def rings(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A thin ring a picture: inputs ``[b, 1, h, w]``; masks ``[b, h, w]`` with the radius's class inside it."""
    chosen = torch.randint(len(RADII), (count, 1, 1), generator=generator)
    radius = torch.tensor(RADII)[chosen]
    row, column = radius + (SIDE - 2 * radius) * torch.rand(2, count, 1, 1, generator=generator)
    at = torch.arange(SIDE) + 0.5
    distance = ((at.view(1, -1, 1) - row).square() + (at.view(1, 1, -1) - column).square()).sqrt()
    outline = (distance - radius).abs() < HALF_WIDTH
    noise = torch.randn(count, SIDE, SIDE, generator=generator)
    return (outline + NOISE * noise).unsqueeze(1), (distance < radius) * (1 + chosen)


@torch.no_grad()
def measure(arm: Arm, seed: int, effort: float) -> Numbers:
    """IoU of each radius and their mean, on fresh pictures."""
    with torch.enable_grad():
        weighted = partial(F.cross_entropy, weight=torch.tensor(WEIGHTS))
        network = fit(arm.make(), partial(rings, BATCH), steps=STEPS * effort, seed=seed, loss=weighted)
    inputs, masks = rings(tests(256, effort), held_back(seed))
    confusion = Confusion(CLASSES)
    confusion.add(masks.numpy(), network(channels_last(inputs)).argmax(1).numpy())
    iou = np.array(confusion.iou[1:], dtype=float)
    return {"iou": iou, "mean_iou": iou.mean()}


def judge(result: Result) -> list[Claim]:
    """The best rates lie in the middle, and the score falls to both sides of them."""
    scores = np.array([result.of(arm.name, "mean_iou") for arm in ARMS])
    means = scores.mean(1)
    best = int(means.argmax())
    small, large = ARMS[0], ARMS[-1]
    falls = np.concatenate([-np.diff(means[: best + 1]), np.diff(means[best:])])
    return [
        Claim.at_each_seed(
            f"the best rates, {ARMS[best].name}, reach a mean IoU of {means[best]:.3f}; {small.name}, from which no "
            f"middle of a ring of {RADII[-1]} px sees its outline, reach {means[0]:.3f}",
            scores[best] > scores[0] + 0.05,
        ),
        Claim.at_each_seed(
            f"{large.name}, of whose taps {taps(large):.0%} are on the map, reach {means[-1]:.3f}",
            scores[best] > scores[-1] + 0.05,
        ),
        Claim.at_each_seed(
            f"the score falls to both sides of the best: {', '.join(f'{mean:.3f}' for mean in means)}",
            [falls.max() < 0.02] * len(result.seeds),
        ),
    ]


def draw(result: Result, figure: Figure) -> str:
    """Mean IoU by rates, the share of taps on the map below, and the task."""
    left, right = figure.subplots(1, 2, width_ratios=[3.6, 1])
    means = [result.mean(arm.name, "mean_iou") for arm in ARMS]
    best = int(np.argmax(means))
    for at, arm in enumerate(ARMS):
        dots(left, at, result.of(arm.name, "mean_iou"), TEAL if at < best else BLUE if at == best else CORAL)
    left.set_xticks(range(len(ARMS)), [f"{arm.name}\n{taps(arm):.0%} of taps" for arm in ARMS], fontsize=8)
    left.set_ylim(0, 1.1)
    left.set_title(f"mean IoU over rings of radius {', '.join(map(str, RADII))}; below: rates, and taps on the map")
    inputs, masks = rings(64, held_back(0))
    of_each = [int((masks.amax((1, 2)) == kind).nonzero()[0]) for kind in range(1, CLASSES)]
    right.imshow(torch.cat([inputs[at, 0] for at in of_each]).numpy(), cmap="Greys", interpolation="nearest")
    right.contour((torch.cat([masks[at] for at in of_each]) > 0).numpy(), [0.5], colors=[CORAL], linewidths=1.2)
    right.set_title("task: fill the ring")
    bare(right)
    return (
        f"Rates must match the objects and stay on the map: IoU {means[best]:.2f} at {ARMS[best].name}, "
        f"{means[0]:.2f} below, {means[-1]:.2f} above"
    )


EXPERIMENT = Experiment(
    name="pyramid_rates",
    title="Which rates for an atrous pyramid?",
    hypothesis=(
        "An inverted U: rates too small do not reach from a ring's middle to its outline, rates too large have their "
        "taps beyond the border and turn into a 1×1."
    ),
    arms=ARMS,
    measure=measure,
    judge=judge,
    draw=draw,
    columns={"mean_iou": "mean IoU"},
    size=(9.5, 3.9),
)
