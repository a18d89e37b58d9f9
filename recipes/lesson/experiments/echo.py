"""E7. Which echoes can a causal network hear? It is to give back white noise, delayed by each of several lags."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from recipes.lesson.experiments.drawing import BLUE, CORAL, INK, PALE, predicted
from recipes.lesson.experiments.fit import fit, held_back, tests
from recipes.lesson.experiments.trial import Arm, Claim, Experiment, Numbers, Result
from shared import rf
from shared.layers import CausalConv1d
from shared.schedules import exponential

LAGS = (0, 1, 2, 5, 8, 13, 18, 23, 26, 29, 30, 31, 32, 33, 40, 47, 54, 61, 62, 63, 64, 65, 70, 79, 80, 81, 82)
CHANNELS, STEPS, BATCH, TARGETS = 48, 300, 8, 128
HISTORY = max(LAGS)  # samples before the first target, so that every lag has its sample
HEARD, DEAF = 0.95, 0.05  # R² of a lag that was recovered, and of one that was not


class EchoNet(nn.Module):
    """Causal dilated convolutions, each beside a shortcut, and one output a lag: ``[b, 1, t] -> [b, lags, t]``."""

    def __init__(self, kernel_size: int, rates: Sequence[int]):
        super().__init__()
        self.first = nn.Conv1d(1, CHANNELS, 1)
        self.convs = nn.ModuleList(CausalConv1d(CHANNELS, CHANNELS, kernel_size, rate) for rate in rates)
        self.last = nn.Conv1d(CHANNELS, len(LAGS), 1)

    def forward(self, wave: Tensor) -> Tensor:
        """Every lag's guess at every sample."""
        x = self.first(wave)
        for conv in self.convs:
            x = x + conv(F.silu(x))
        return self.last(x)


def _arm(name: str, kernel_size: int, rates: tuple[int, ...]) -> Arm:
    sees = rf.stack(kernel_size, rates, causal=True)
    return Arm(name, partial(EchoNet, kernel_size, rates), sees, (1, HISTORY + TARGETS), rates)


ARMS = (
    _arm("doubling, 5 layers", 2, exponential(5)),
    _arm("doubling, 6 layers", 2, exponential(6)),
    _arm("without rate 1", 2, exponential(6)[1:]),
    _arm("tripling, kernel 3", 3, exponential(4, base=3)),
)


def echoes(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """White noise ``[b, 1, t]``, and what each lag makes of its last ``TARGETS`` samples, ``[b, lags, TARGETS]``."""
    wave = torch.randn(count, 1, HISTORY + TARGETS, generator=generator)
    delayed = [wave[:, 0, HISTORY - lag : HISTORY - lag + TARGETS] for lag in LAGS]
    return wave, torch.stack(delayed, 1)


def error(guess: Tensor, target: Tensor) -> Tensor:
    """The mean squared error where the whole history is known."""
    return F.mse_loss(guess[..., HISTORY:], target)


@torch.no_grad()
def measure(arm: Arm, seed: int, effort: float) -> Numbers:
    """R² by lag, and its extremes over the lags in the field and out of it."""
    with torch.enable_grad():
        network = fit(arm.make(), partial(echoes, BATCH), steps=STEPS * effort, seed=seed, loss=error)
    wave, target = echoes(tests(64, effort), held_back(seed))
    missed = (network(wave)[..., HISTORY:] - target).square().mean((0, 2))
    explained = (1 - missed / target.var((0, 2))).numpy()
    read = reads(arm)
    return {"r2": explained, "heard": explained[read].min(), "deaf": explained[~read].max()}


def reads(arm: Arm) -> np.ndarray:
    """Whether each lag's sample is in the field."""
    return np.array([-lag in arm.sees for lag in LAGS])


def judge(result: Result) -> list[Claim]:
    """Every lag in the field is heard, none other is."""
    heard = np.array([result.of(arm.name, "heard") for arm in ARMS])
    deaf = np.array([result.of(arm.name, "deaf") for arm in ARMS])
    five = ARMS[0]
    last = five.sees.history
    edge = result.mean(five.name, "r2")
    return [
        Claim.at_each_seed(f"every lag in the field has R² of {heard.min():.3f} or more", (heard > HEARD).all(0)),
        Claim.at_each_seed(
            f"every other lag has at most {deaf.max():z.3f}: at a history of {last}, lag {last} has "
            f"{edge[LAGS.index(last)]:z.2f} and lag {last + 1} has {edge[LAGS.index(last + 1)]:z.2f}",
            (deaf < DEAF).all(0),
        ),
    ]


def draw(result: Result, figure: Figure) -> str:
    """R² against lag, a strip an arm; hollow where arithmetic says that nothing can be heard."""
    strips = figure.subplots(len(ARMS), 1, sharex=True, sharey=True)
    for axes, arm in zip(strips, ARMS, strict=True):
        values, read = result.of(arm.name, "r2"), reads(arm)
        axes.vlines(LAGS, 0, values.mean(0), color=PALE, lw=1.5)
        for chosen, face, color in ((read, BLUE, BLUE), (~read, "white", CORAL)):
            at = np.array(LAGS)[chosen]
            for numbers in values[:, chosen]:
                axes.plot(at, numbers, "o", mfc=face, mec=color, ms=4.5, mew=1.2, clip_on=False)
        predicted(axes, arm.sees.history + 0.5)
        holes = "gap-free" if arm.sees.gap_free else f"reads {arm.sees.coverage:.0%}"
        axes.text(
            1.02, 0.5, f"{arm.name}\nrates {', '.join(map(str, arm.rates))}\nfield {arm.sees.size}, {holes}",
            transform=axes.transAxes, va="center", fontsize=8.5, color=INK,
        )  # fmt: skip
        axes.set_ylim(-0.08, 1.08)
        axes.set_yticks([0, 1])
    strips[0].set_title(
        "R² of the recovered echo; full: in the field, hollow: not; dashed: the field's end", fontsize=8.5
    )
    strips[-1].set_xlabel("lag, in samples")
    if result.verdict.kind == "confirmed":
        return "A causal network hears exactly the lags that arithmetic puts in its field: all of those, none other"
    return "What a causal network hears, against the lags that arithmetic puts in its field"


EXPERIMENT = Experiment(
    name="echo",
    title="Which echoes can a causal network hear?",
    hypothesis="The lag τ is recovered if and only if the sample τ ago is in the read set, and so never beyond RF − 1.",
    arms=ARMS,
    measure=measure,
    judge=judge,
    draw=draw,
    columns={"heard": "worst R² in the field", "deaf": "best R² out of it"},
    size=(9.5, 5.2),
)
