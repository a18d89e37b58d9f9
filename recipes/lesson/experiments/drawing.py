"""The look of the experiments' figures: white ground, one ink, five hues that the colour-blind tell apart.

Seeds are always shown: a band from the least to the greatest beside a line, a dot each beside a mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, PALE = "#1b2a41", "#c9d1db"
BLUE, TEAL, YELLOW, CORAL, PLUM = HUES = ("#0b6e99", "#2a9d8f", "#e9b44c", "#e76f51", "#9b2c5e")
LOOK = {
    "font.size": 9, "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK,
    "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7,
    "axes.titlelocation": "left", "axes.titlesize": 9, "figure.facecolor": "white", "savefig.facecolor": "white",
}  # fmt: skip


@contextmanager
def sheet(width: float, height: float) -> Iterator[Figure]:
    """An empty figure of so many inches; what is drawn in the block has this look."""
    with matplotlib.rc_context(LOOK):
        yield Figure(figsize=(width, height), layout="constrained")


def band(
    axes: Axes, at: Sequence[float] | np.ndarray, values: np.ndarray, color: str, *, steps: bool = False, **line: object
) -> None:
    """The mean over seeds as a line, and all that lies between the least and the greatest: ``values [seeds, x]``.

    ``steps`` draws what is measured at whole pixels only as flat as it is.
    """
    axes.fill_between(at, values.min(0), values.max(0), step="mid" if steps else None, color=color, alpha=0.22, lw=0)
    style = {"lw": 1.8, "drawstyle": "steps-mid" if steps else "default", **line}
    axes.plot(at, values.mean(0), color=color, **style)


def dots(axes: Axes, at: float, values: np.ndarray, color: str, width: float = 0.5, text: str = "{:.2f}") -> None:
    """A bar up to the mean, a dot a seed, and the mean in figures above."""
    axes.bar(at, values.mean(), width, color=color, alpha=0.85, lw=0)
    spaced = at + (np.arange(len(values)) - (len(values) - 1) / 2) * 0.2 * width
    axes.plot(spaced, values, "o", color=INK, ms=2.6, mew=0, ls="none")
    axes.annotate(
        text.format(values.mean()), (at, values.max()), xytext=(0, 4), textcoords="offset points", ha="center",
        fontsize=8.5,
    )  # fmt: skip


def predicted(axes: Axes, at: float, text: str = "") -> None:
    """A dashed line where arithmetic puts something, before any training."""
    axes.axvline(at, color=INK, lw=0.9, ls=(0, (4, 3)))
    if text:
        axes.annotate(
            text, (at, 1), xycoords=("data", "axes fraction"), xytext=(4, -2), textcoords="offset points", va="top",
            fontsize=8,
        )  # fmt: skip


def named(axes: Axes, x: float, lines: Sequence[tuple[float, str, str]], least: float) -> None:
    """Names at the right end of lines, ``(y, text, color)``, pushed apart to at least ``least``."""
    ordered = sorted(lines)
    heights = np.array([height for height, _, _ in ordered])
    for _ in range(200):
        for low, high in zip(range(len(heights) - 1), range(1, len(heights)), strict=True):
            short = least - (heights[high] - heights[low])
            if short > 1e-9:
                heights[low] -= short / 2
                heights[high] += short / 2
    for height, (_, text, color) in zip(heights, ordered, strict=True):
        axes.annotate(text, (x, height), color=color, va="center", fontsize=8.5, annotation_clip=False)


def bare(axes: Axes) -> None:
    """No ticks and a pale frame: for pictures."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set(visible=True, color=PALE)
