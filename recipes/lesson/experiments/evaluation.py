"""E9. Can a score of 1 mean nothing? A predictor that never looks at the picture, on two data sets."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from recipes.lesson.experiments.drawing import BLUE, CORAL, bare, dots
from recipes.lesson.experiments.trial import Arm, Claim, Experiment, Numbers, Result
from segmentation.data.shapes import NAMES
from segmentation.data.shapes import draw as draw_shapes
from segmentation.metrics import Confusion

SIDE, PICTURES = 64, 60
ONE, MANY = Arm("one mask for all"), Arm("masks that vary")


def one_mask(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A circle and a square that are always in the same place, in noise: a picture and its mask, ``[h, w]``."""
    row, column = np.mgrid[:SIDE, :SIDE]
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[np.hypot(row - 20, column - 20) < 11] = 1
    mask[36:54, 34:56] = 2
    return mask / 2 + random.normal(0, 0.3, mask.shape), mask


def pictures(arm: Arm, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """So many pictures of the arm's kind, and their masks ``[n, h, w]``."""
    drawn = [one_mask(random) if arm == ONE else draw_shapes((SIDE, SIDE), random) for _ in range(PICTURES)]
    return np.stack([picture for picture, _ in drawn]), np.stack([mask for _, mask in drawn])


def measure(arm: Arm, seed: int, _effort: float) -> Numbers:
    """The mean IoU, on fresh pictures, of the most frequent class at each place of the training masks."""
    random = np.random.default_rng(seed)
    classes = 3 if arm == ONE else len(NAMES)
    _, seen = pictures(arm, random)
    constant = np.stack([(seen == kind).sum(0) for kind in range(classes)]).argmax(0)
    inputs, masks = pictures(arm, random)
    confusion = Confusion(classes)
    confusion.add(masks, np.stack([constant] * PICTURES))
    return {"mean_iou": np.array(confusion.mean_iou), "constant": constant, "inputs": inputs[:3], "masks": masks[:3]}


def judge(result: Result) -> list[Claim]:
    """The score is perfect on the one set and poor on the other."""
    one, many = (result.of(arm.name, "mean_iou") for arm in (ONE, MANY))
    return [
        Claim.at_each_seed(f"where all masks are one, a constant has a mean IoU of {one.mean():.3f}", one == 1),
        Claim.at_each_seed(f"where they vary it has {many.mean():.3f}", many < 0.3),
    ]


def draw(result: Result, figure: Figure) -> str:
    """Fresh pictures of both sets, their masks, what the constant says, and its score."""
    rows = figure.subplots(2, 6, width_ratios=[1, 1, 1, 1, 1, 1.3])
    for line, arm in zip(rows, (ONE, MANY), strict=True):
        numbers = result.numbers[arm.name][0]
        most = numbers["masks"].max()
        shown = [numbers["inputs"][0], numbers["masks"][0], numbers["inputs"][1], numbers["masks"][1]]
        for axes, picture, name in zip(
            line,
            (*shown, numbers["constant"]),
            ("a picture", "its mask", "another", "its mask", "the constant"),
            strict=False,
        ):
            axes.imshow(
                picture, cmap="Greys", interpolation="nearest", vmax=most if picture.dtype == np.uint8 else None
            )
            axes.set_title(name, fontsize=8)
            bare(axes)
        line[0].set_ylabel(arm.name)
        dots(line[-1], 0, result.of(arm.name, "mean_iou"), CORAL if arm == ONE else BLUE)
        line[-1].set_xlim(-1, 1)
        line[-1].set_ylim(0, 1.3)
        line[-1].set_xticks([])
        line[-1].set_yticks([0, 1])
        line[-1].set_title("its mean IoU", fontsize=8)
    one, many = (result.mean(arm.name, "mean_iou") for arm in (ONE, MANY))
    return f"A predictor that never looks scores {one:.2f} where all masks are one, {many:.2f} where they vary"


EXPERIMENT = Experiment(
    name="evaluation",
    title="Can a perfect score mean nothing?",
    hypothesis=(
        "If every picture has the same mask, a constant has a mean IoU of 1 without looking; only data that vary "
        "can tell a network that sees from one that does not."
    ),
    arms=(ONE, MANY),
    measure=measure,
    judge=judge,
    draw=draw,
    columns={"mean_iou": "mean IoU of a constant"},
    size=(9.5, 3.6),
)
