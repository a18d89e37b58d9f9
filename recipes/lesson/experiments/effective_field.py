"""E8. How much of its field does a network use? Its effective field before and after training, at equal fields."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from recipes.lesson.experiments import cues
from recipes.lesson.experiments.drawing import BLUE, CORAL, INK, PALE, band
from recipes.lesson.experiments.fit import held_back, tests
from recipes.lesson.experiments.networks import normed_stack
from recipes.lesson.experiments.trial import Arm, Claim, Experiment, Numbers, Result
from shared import rf
from shared.schedules import exponential, linear

SHAPE, THICKNESS, STEPS = (8, 64), 2, 500
FIELD = 31
TOLERANCE = 0.1  # of the predicted standard deviation
INITIALISATIONS = 8


def _arm(name: str, rates: tuple[int, ...]) -> Arm:
    return Arm(name, partial(normed_stack, rates, 3), rf.stack(3, rates), (1, *SHAPE), rates)


ARMS = (_arm("regular", (1,) * (FIELD // 2)), _arm("linear", linear(5)), _arm("doubling", exponential(4)))


def influence(network: nn.Module, inputs: Tensor) -> np.ndarray:
    """How strongly the columns of the field drive an output, ``[field]``, adding up to 1.

    It is the squared gradient of the two bar classes' difference, averaged over pictures, rows and the columns whose
    whole field is in the picture. For independent random weights its mean is the share of paths from each column.
    """
    inputs = inputs.clone().requires_grad_()
    scores = network(inputs)
    half, length = FIELD // 2, inputs.shape[-1]
    total = torch.zeros(FIELD)
    for column in range(half, length - half, 4):
        output = scores[:, 2, :, column] - scores[:, 1, :, column]
        random_signs = torch.randint(2, output.shape, generator=held_back(column)) * 2.0 - 1.0
        (gradient,) = torch.autograd.grad((output * random_signs).sum(), inputs, retain_graph=True)
        total += gradient.square().sum((0, 1, 2))[column - half : column + half + 1]
    return (total / total.sum()).numpy()


def sigma(shares: np.ndarray) -> float:
    """The standard deviation of where the influence comes from, in pixels.

    >>> sigma(np.array([0.5, 0.0, 0.5]))
    1.0
    """
    at = np.arange(len(shares))
    middle = (at * shares).sum() / shares.sum()
    return float(np.sqrt(((at - middle) ** 2 * shares).sum() / shares.sum()))


def measure(arm: Arm, seed: int, effort: float) -> Numbers:
    """The influence of each column before and after training, their σ, and the accuracy within the field."""
    inputs = cues.bars(16, SHAPE, THICKNESS, held_back(seed)).inputs
    networks = [arm.make() for _ in range(max(1, round(INITIALISATIONS * effort)))]
    before = np.mean([influence(network.eval(), inputs) for network in networks], axis=0)
    cues.trained_on_bars(networks[0], SHAPE, THICKNESS, steps=STEPS * effort, seed=seed)
    after = influence(networks[0], inputs)
    told = cues.accuracy_by_distance(networks[0], SHAPE, THICKNESS, seed=seed, count=tests(cues.TESTS, effort))
    reached = cues.distances(SHAPE) <= FIELD // 2 + cues.HALF
    return {
        "before": before,
        "after": after,
        "sigma_before": sigma(before),
        "sigma_after": sigma(after),
        "told": told[reached].mean(),
    }


def theory(arm: Arm) -> float:
    """The standard deviation of the paths."""
    return rf.paths(3, arm.rates).sigma


def judge(result: Result) -> list[Claim]:
    """Theory holds at the start; training then widens the narrow one."""
    error = np.array([np.abs(result.of(arm.name, "sigma_before") / theory(arm) - 1) for arm in ARMS])
    text = ", ".join(f"{arm.name} {theory(arm):.2f} → {result.mean(arm.name, 'sigma_before'):.2f}" for arm in ARMS)
    narrow = ARMS[0]
    before, after = result.of(narrow.name, "sigma_before"), result.of(narrow.name, "sigma_after")
    return [
        Claim.at_each_seed(f"before training σ is as predicted: {text} px measured", (error < TOLERANCE).all(0)),
        Claim.at_each_seed(
            f"training on a far cue widens the {narrow.name} stack from {before.mean():.2f} to {after.mean():.2f} px",
            after > before,
        ),
    ]


def draw(result: Result, figure: Figure) -> str:
    """Influence by column: the paths' shares, before and after training."""
    at = np.arange(FIELD) - FIELD // 2
    for axes, arm in zip(figure.subplots(1, len(ARMS), sharex=True), ARMS, strict=True):
        counts = np.array(rf.paths(3, arm.rates).counts)
        axes.bar(at, counts / counts.sum(), width=1, color=PALE, lw=0)
        band(axes, at, result.of(arm.name, "before"), BLUE)
        band(axes, at, result.of(arm.name, "after"), CORAL)
        axes.set_title(f"{arm.name}, {len(arm.rates)} layers")
        top = axes.get_ylim()[1] * 1.3
        axes.set_ylim(0, top)
        axes.set_yticks([])
        for line, (name, value, color) in enumerate(
            (
                ("paths", f"{theory(arm):.2f}", INK),
                ("before", result.shown(arm.name, "sigma_before", 2), BLUE),
                ("trained", result.shown(arm.name, "sigma_after", 2), CORAL),
            )
        ):
            axes.text(at[0], top * (0.97 - 0.075 * line), f"{name}: σ {value}", color=color, va="top", fontsize=8.5)
        axes.set_xlabel("input column, from the output's own")
    figure.axes[0].set_ylabel("share of the influence")
    small, large = (result.mean(arm.name, "sigma_before") for arm in (ARMS[0], ARMS[2]))
    return f"Three fields of {FIELD} that act unequal: σ is {small:.1f} px if regular, {large:.1f} px if doubling"


EXPERIMENT = Experiment(
    name="effective_field",
    title="How much of its receptive field does a network use?",
    hypothesis=(
        "Before training σ = √(Σ d²(k² − 1)/12), so that equal fields are used unequally; training on a far cue "
        "widens what is too narrow."
    ),
    arms=ARMS,
    measure=measure,
    judge=judge,
    draw=draw,
    columns={"sigma_before": "σ before, px", "sigma_after": "σ trained, px", "told": "accuracy within the field"},
    size=(9.5, 3.9),
)
