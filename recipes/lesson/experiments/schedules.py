"""E1. Which dilation schedule reaches how far, with the same depth, parameters and multiply-adds?"""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from recipes.lesson.experiments import cues
from recipes.lesson.experiments.drawing import BLUE, INK, PALE, band, predicted
from recipes.lesson.experiments.networks import normed_stack
from recipes.lesson.experiments.trial import Arm, Claim, Experiment, Numbers, Result
from shared import rf
from shared.schedules import exponential, fibonacci, linear, prime

SHAPE, THICKNESS, STEPS, LAYERS = (8, 64), 2, 500, 5
AT = cues.distances(SHAPE)
TOLERANCE = 2  # pixels between the predicted and the measured knee


def _arm(name: str, rates: tuple[int, ...]) -> Arm:
    return Arm(name, partial(normed_stack, rates, 3), rf.stack(3, rates), (1, *SHAPE), rates)


ARMS = (
    _arm("regular", (1,) * LAYERS),
    _arm("Fibonacci", fibonacci(LAYERS)),
    _arm("linear", linear(LAYERS)),
    _arm("prime", prime(LAYERS)),
    _arm("doubling", exponential(LAYERS)),
    _arm("tripling", (*exponential(LAYERS - 1, base=3), 1)),
)


def measure(arm: Arm, seed: int, effort: float) -> Numbers:
    """Accuracy by distance beside its prediction, the farthest distances at which both are good, and beyond."""
    found = cues.measured(arm, SHAPE, THICKNESS, steps=STEPS, seed=seed, effort=effort)
    return {**found, "beyond": found["accuracy"][predicted_knee(arm) < AT].mean()}


def predicted_knee(arm: Arm) -> int:
    """The farthest distance at which a pixel reads some of the marker."""
    return arm.sees.lookahead + cues.HALF


def judge(result: Result) -> list[Claim]:
    """The knee lies where it was predicted, beyond it all is guesswork, and the whole curve follows the read sets."""
    gap = np.array([np.abs(result.of(arm.name, "knee") - predicted_knee(arm)) for arm in ARMS])
    beyond = np.array([np.abs(result.of(arm.name, "beyond") - 0.5) for arm in ARMS])
    off = np.array([result.of(arm.name, "off") for arm in ARMS])
    return [
        Claim.at_each_seed(
            f"the cue is used up to the predicted distance, give or take {gap.max():.0f} px "
            f"({(gap == 0).sum()} of {gap.size} networks hit it exactly)",
            (gap <= TOLERANCE).all(0),
        ),
        Claim.at_each_seed(f"beyond it accuracy is within {beyond.max():.3f} of chance", (beyond < 0.01).all(0)),
        Claim.at_each_seed(
            f"the whole curve, dips and all, follows the exact read sets to {off.mean():.3f} on average, "
            f"{off.max():.3f} at worst",
            (off < 0.03).all(0),
        ),
    ]


def draw(result: Result, figure: Figure) -> str:
    """A strip a schedule: accuracy by distance, and what the read sets say it is."""
    strips = figure.subplots(len(ARMS), 1, sharex=True, sharey=True)
    for axes, arm in zip(strips, ARMS, strict=True):
        end = predicted_knee(arm)
        expected = result.mean(arm.name, "predicted")
        axes.fill_between(AT, 0.5, expected, step="mid", color=PALE, alpha=0.55, lw=0)
        axes.axhline(0.5, color=PALE, lw=0.8)
        band(axes, AT, result.of(arm.name, "accuracy"), BLUE, steps=True)
        predicted(axes, end + 0.5)
        knees = result.of(arm.name, "knee")
        measured = f"{knees.min()}" if knees.min() == knees.max() else f"{knees.min()} to {knees.max()}"
        axes.text(
            1.01, 0.5, f"{arm.name} {', '.join(map(str, arm.rates))}\npredicted {end}, measured {measured}",
            transform=axes.transAxes, va="center", fontsize=8.5, color=INK,
        )  # fmt: skip
        axes.set_ylim(0.42, 1.06)
        axes.set_yticks([0.5, 1], ["chance", "1"])
        axes.set_xlim(AT[0], AT[-1])
    strips[-1].set_xlabel("distance from the marker, in pixels; grey: by the read sets, blue: measured, all seeds")
    strips[0].set_title("share of bar pixels whose class is told right", fontsize=8.5)
    off = max(int(abs(result.of(arm.name, "knee") - predicted_knee(arm)).max()) for arm in ARMS)
    if off <= TOLERANCE:
        close = ", to the pixel" if off == 0 else f", to {off} px"
        return f"Reach is arithmetic: {len(ARMS)} schedules use a cue up to the predicted distance{close}"
    return f"{len(ARMS)} schedules and their predicted reach: one network misses its own by {off} px"


EXPERIMENT = Experiment(
    name="schedules",
    title="Which schedule sees how far?",
    hypothesis=(
        "A network uses a cue exactly as far as its receptive field reaches, whatever the schedule. Near a border "
        "some ways would lead over places that do not exist; there the exact read set decides."
    ),
    arms=ARMS,
    measure=measure,
    judge=judge,
    draw=draw,
    columns={"knee": "farthest use, px", "off": "error of the prediction", "beyond": "accuracy beyond reach"},
    size=(9.5, 6.2),
    note="Where tripling dips, its only ways to the marker lead over the border, and beyond it there is only padding.",
)
