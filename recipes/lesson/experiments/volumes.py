"""E5. The same law in three dimensions: dilated volumes, gridded ones, and rates along one axis only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from torch import nn

from recipes.lesson.experiments import cues
from recipes.lesson.experiments.drawing import BLUE, CORAL, INK, PALE, band
from recipes.lesson.experiments.networks import normed_stack
from recipes.lesson.experiments.trial import Arm, Claim, Experiment, Numbers, Result
from shared import rf
from shared.schedules import exponential

SHAPE, THICKNESS, STEPS, CHANNELS = (5, 5, 32), 3, 300, 10
AT = cues.distances(SHAPE)


def long_stack(rates: Sequence[int], out_channels: int, *, channels: int) -> nn.Sequential:
    """``normed_stack`` in three dimensions, dilated along the last axis only; the parameters are the same."""
    network = normed_stack((1,) * len(rates), out_channels, channels=channels, dimensions=3)
    for conv, rate in zip((each for each in network if isinstance(each, nn.Conv3d)), rates, strict=False):
        conv.dilation = (1, 1, rate)
        conv.padding = (1, 1, rate)
    return network


def _arm(name: str, rates: tuple[int, ...], *, long: bool = False) -> Arm:
    make = partial(long_stack, rates, 3, channels=CHANNELS)
    if not long:
        make = partial(normed_stack, rates, 3, channels=CHANNELS, dimensions=3)
    return Arm(name, make, rf.stack(3, rates), (1, *SHAPE), rates)


TRIPLING = exponential(3, base=3)
ARMS = (
    _arm("regular", (1, 1, 1)),
    _arm("doubling", exponential(3)),
    _arm("tripling", TRIPLING),
    _arm("tripling, long axis only", TRIPLING, long=True),
    _arm("all 4: gridded", (4, 4, 4)),
)


def measure(arm: Arm, seed: int, effort: float) -> Numbers:
    """Accuracy by distance along the long axis, beside what the read sets say."""
    return cues.measured(arm, SHAPE, THICKNESS, steps=STEPS, seed=seed, effort=effort)


def judge(result: Result) -> list[Claim]:
    """The reach is the predicted one, rates along one axis lose nothing there, and holes are heard as a comb."""
    gap = np.array([np.abs(result.of(arm.name, "knee") - knee_of(arm)) for arm in ARMS])
    off = np.array([result.of(arm.name, "off") for arm in ARMS])
    everywhere, along = (result.of(arm.name, "accuracy") for arm in ARMS[2:4])
    comb = result.of(ARMS[4].name, "accuracy")
    holes = result.of(ARMS[4].name, "predicted") == 0.5
    within = knee_of(ARMS[4]) >= AT
    told = [values[~gone & within].mean() for values, gone in zip(comb, holes, strict=True)]
    guessed = [values[gone & within].mean() for values, gone in zip(comb, holes, strict=True)]
    return [
        Claim.at_each_seed(
            f"the cue is used up to the predicted distance, give or take {gap.max():.0f} voxels", (gap <= 1).all(0)
        ),
        Claim.at_each_seed(
            f"rates along the long axis alone do the same there, to {np.abs(everywhere - along).mean():.3f}",
            np.abs(everywhere - along).mean(1) < 0.03,
        ),
        Claim.at_each_seed(
            f"the gridded arm is a comb: {np.mean(told):.2f} where it reads the marker, {np.mean(guessed):.2f} in "
            "its holes",
            (np.array(told) > 0.95) & (np.array(guessed) < 0.55),
        ),
        Claim.at_each_seed(f"all curves follow the read sets to {off.max():.3f}", (off < 0.03).all(0)),
    ]


def knee_of(arm: Arm) -> int:
    """The farthest distance at which a voxel reads some of the marker."""
    read = [at for at in AT if any(at + part in arm.sees for part in range(-cues.HALF, cues.HALF + 1))]
    return int(max(read))


def draw(result: Result, figure: Figure) -> str:
    """A strip an arm, measured on predicted."""
    strips = figure.subplots(len(ARMS), 1, sharex=True, sharey=True)
    for axes, arm in zip(strips, ARMS, strict=True):
        axes.fill_between(AT, 0.5, result.mean(arm.name, "predicted"), step="mid", color=PALE, alpha=0.55, lw=0)
        axes.axhline(0.5, color=PALE, lw=0.8)
        band(axes, AT, result.of(arm.name, "accuracy"), BLUE if arm.sees.gap_free else CORAL, steps=True)
        knees = result.of(arm.name, "knee")
        measured = f"{knees.min()}" if knees.min() == knees.max() else f"{knees.min()} to {knees.max()}"
        axes.text(
            1.01, 0.5,
            f"{arm.name} {', '.join(map(str, arm.rates))}\npredicted {knee_of(arm)}, measured {measured}",
            transform=axes.transAxes, va="center", fontsize=8.5, color=INK,
        )  # fmt: skip
        axes.set_ylim(0.42, 1.06)
        axes.set_yticks([0.5, 1], ["chance", "1"])
        axes.set_xlim(AT[0], AT[-1])
    strips[-1].set_xlabel("distance from the marker along the long axis, in voxels; grey: by the read sets")
    strips[0].set_title("share of tube voxels whose class is told right", fontsize=8.5)
    off = max(result.of(arm.name, "off").max() for arm in ARMS)
    return f"In volumes too accuracy follows the read sets, holes included: to {off:.3f} on average in every arm"


EXPERIMENT = Experiment(
    name="volumes",
    title="Does the law hold in three dimensions?",
    hypothesis=(
        "A voxel uses a cue exactly if its read set holds some of it: the same reach as in a picture, the same along "
        "the long axis if only that one is dilated, and a comb where the rates leave holes."
    ),
    arms=ARMS,
    measure=measure,
    judge=judge,
    draw=draw,
    columns={"knee": "farthest use, voxels", "off": "error of the prediction"},
    size=(9.5, 5.4),
)
