"""E6. Does the order of the rates matter, and does mixing beat either kind alone?"""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from recipes.lesson.experiments import cues
from recipes.lesson.experiments.drawing import BLUE, CORAL, PLUM, TEAL, YELLOW, band, dots, named, predicted
from recipes.lesson.experiments.fit import tests
from recipes.lesson.experiments.networks import normed_stack
from recipes.lesson.experiments.trial import Arm, Claim, Experiment, Numbers, Result
from shared import rf

SHAPE, THICKNESS, STEPS = (8, 64), 2, 500
AT = cues.distances(SHAPE)
TIE = 0.03  # accuracies so near are equal


def _arm(name: str, rates: tuple[int, ...]) -> Arm:
    return Arm(name, partial(normed_stack, rates, 3), rf.stack(3, rates), (1, *SHAPE), rates)


PURE = (_arm("all 1", (1,) * 6), _arm("all 4", (4,) * 6))
MIXED = (
    _arm("rising", (1, 1, 1, 4, 4, 4)),
    _arm("falling", (4, 4, 4, 1, 1, 1)),
    _arm("by turns", (1, 4, 1, 4, 1, 4)),
)
ARMS = (*PURE, *MIXED)
COLORS = dict(zip((arm.name for arm in ARMS), (CORAL, TEAL, BLUE, PLUM, YELLOW), strict=True))
REACHED = AT[MIXED[0].sees.lookahead + cues.HALF >= AT]
"""The distances that the mixed arms read: there all are compared."""


def measure(arm: Arm, seed: int, effort: float) -> Numbers:
    """Accuracy by distance, and its mean over what the mixed arms reach."""
    network = cues.trained_on_bars(arm.make(), SHAPE, THICKNESS, steps=STEPS * effort, seed=seed)
    count = tests(cues.TESTS, effort)
    accuracy = cues.accuracy_by_distance(network, SHAPE, THICKNESS, seed=seed, count=count)
    return {"accuracy": accuracy, "near": accuracy[np.isin(AT, REACHED)].mean()}


def judge(result: Result) -> list[Claim]:
    """Same paths in any order, hence the same scores; each pure kind is worse."""
    counts = {rf.paths(3, arm.rates).counts for arm in MIXED}
    mixed = np.array([result.of(arm.name, "near") for arm in MIXED])
    pure = np.array([result.of(arm.name, "near") for arm in PURE])
    apart = mixed.max(0) - mixed.min(0)
    return [
        Claim.at_each_seed(
            f"three orders, which have {len(counts)} set of path counts, score alike: their accuracies are up to "
            f"{apart.max():.3f} apart",
            (apart < TIE) & (len(counts) == 1),
        ),
        Claim.at_each_seed(
            f"up to {REACHED[-1]} px every order of mixed rates beats either kind alone: {mixed.min():.3f} to "
            f"{mixed.max():.3f}, rate 1 alone {pure[0].mean():.3f}, rate 4 alone {pure[1].mean():.3f}",
            mixed.min(0) > pure.max(0),
        ),
    ]


def draw(result: Result, figure: Figure) -> str:
    """Accuracy by distance for the three kinds, and the means of all arms."""
    left, right = figure.subfigures(1, 2, width_ratios=[1.5, 1])
    strips = left.subplots(3, 1, sharex=True, sharey=True)
    kinds = ((PURE[:1], "rate 1 only"), (PURE[1:], "rate 4 only: gridded"), (MIXED, "both rates, in three orders"))
    for axes, (arms, name) in zip(strips, kinds, strict=True):
        for arm in arms:
            band(axes, AT, result.of(arm.name, "accuracy"), COLORS[arm.name], steps=True, lw=1.4)
        predicted(axes, arms[0].sees.lookahead + cues.HALF + 0.5)
        axes.set_title(name)
        axes.set_yticks([0.5, 1], ["chance", "1"])
        axes.set_ylim(0.4, 1.06)
        axes.set_xlim(AT[0], 32)
    named(strips[-1], 21, [(0.85 - 0.13 * at, arm.name, COLORS[arm.name]) for at, arm in enumerate(MIXED)], least=0.1)
    strips[-1].set_xlabel("distance from the marker, in pixels; dashed: the last that is read")
    axes = right.add_subplot()
    for at, arm in enumerate(ARMS):
        dots(axes, at, result.of(arm.name, "near"), COLORS[arm.name])
    axes.set_xticks(range(len(ARMS)), [f"{arm.name}\n{','.join(map(str, arm.rates))}" for arm in ARMS], fontsize=7)
    axes.set_title(f"accuracy at {REACHED[0]} to {REACHED[-1]} px")
    axes.set_ylim(0.5, 1.08)
    axes.set_yticks([0.5, 1], ["chance", "1"])
    mixed = [result.mean(arm.name, "near") for arm in MIXED]
    best = max(result.mean(arm.name, "near") for arm in PURE)
    verb = "beat" if min(mixed) > best else "do not all beat"
    return f"Mixed rates {verb} either kind alone; their order moves accuracy by {max(mixed) - min(mixed):.2f}"


EXPERIMENT = Experiment(
    name="order",
    title="Does the order of the rates matter?",
    hypothesis=(
        "Offsets add up in any order, so orders of the same rates have the same read set and path counts and score "
        "alike; mixed rates beat rate 1, which is short, and rate 4, which has holes."
    ),
    arms=ARMS,
    measure=measure,
    judge=judge,
    draw=draw,
    columns={"near": f"accuracy, {REACHED[0]}–{REACHED[-1]} px"},
    size=(9.5, 4.8),
    note=f"Arithmetic says what can be read, not how soon it is learnt: every arm had {STEPS} steps.",
)
