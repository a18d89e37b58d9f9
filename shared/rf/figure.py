"""Pictures of a read set: what is read, how many paths lead there, and the holes in between.

Shade is the number of paths, white is never read, the frame is the span. Every mark is computed from the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from shared.figures import BLUE, GREY, ORANGE, drawn
from shared.rf.field import Field, percent
from shared.rf.path_counts import Paths, Ways
from shared.rf.spec import Spec, parse

if TYPE_CHECKING:
    from torch import nn

    from shared.rf.reach import Reach

HEAT = LinearSegmentedColormap.from_list("paths", ["#cfe3f1", BLUE, "#001d33"])
"""From one path to the most; what is not read is masked and stays white."""
WIDEST_MAP = 300  # beyond that a pixel of the picture would hide the holes
LONGEST_NAME, LONGEST_LINE = 90, 76
MOST_WORK = 2 * 10**7  # additions; beyond it only what is read is drawn, as it is
MOST_PATHS = 10**100  # beyond it, when their squares would be no floats any more


def visualize_receptive_field(
    subject: Field | Spec | str | nn.Module, path: Path | str | None = None, *, shape: Sequence[int] | None = None
) -> Figure:
    """Draw what one output reads along one axis and, if it looks both ways, over a square of two.

    ``subject`` is a field, or a network in a line of text, whose numbers of paths are then the shade; or a module with
    the ``shape`` of its input, ``(channels, *axes)`` with one axis or two, of whose middle output the exact read set is
    drawn. With ``path`` the figure is also written there as PNG.

    >>> visualize_receptive_field("3@2,4,8").get_suptitle()
    '3@2,4,8 spans 29×29 inputs and reads 27% of them'
    """
    where = None if path is None else Path(path)
    if isinstance(subject, str):
        subject = parse(subject)
    if isinstance(subject, Field | Spec):
        return draw([subject], where)
    from shared.rf.reach import of  # torch, where it is needed

    if shape is None:
        raise ValueError("a module's receptive field is drawn for the shape of its input: shape=(channels, *axes)")
    return draw_reach(of(subject, shape), type(subject).__name__, where)


def draw_reach(reach: Reach, name: str, path: Path | None = None) -> Figure:
    """What the middle output of a module reads, on the whole of its input, along one axis or two."""
    mask, box = reach.mask.numpy(), reach.box
    if mask.ndim > 2:
        raise ValueError(f"an input of {mask.ndim} axes is not drawn; choose one or two by rf.of(…, axes=…)")
    aside = f", and all of them through {' and '.join(reach.global_via)}" if reach.is_global else ""
    span = "×".join(f"{size:,}" for size in reach.size)
    share = "every one" if reach.coverage == 1 else percent(reach.coverage)
    with drawn(path, 7.5, 1.6 if mask.ndim == 1 else 5.4) as figure:
        finding = f"{name} spans {span} inputs and reads {share} of them{aside}"
        figure.suptitle("\n".join(wrap(finding, LONGEST_LINE)), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        axes, rows = figure.add_subplot(), np.atleast_2d(mask)
        extent = (-0.5, rows.shape[1] - 0.5, rows.shape[0] - 0.5, -0.5)
        shown = np.ma.masked_equal(rows.astype(float), 0)
        axes.imshow(shown, cmap=HEAT, vmin=0, vmax=2, extent=extent, interpolation="nearest", aspect="auto")
        (top, bottom), (left, right) = ((0, 0), box[0]) if mask.ndim == 1 else box
        size = (right - left + 1, bottom - top + 1)
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), *size, fill=False, edgecolor=ORANGE, lw=1.2))
        axes.set_xlabel("input")
        axes.xaxis.set_major_locator(MaxNLocator(9, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        if mask.ndim == 1:
            axes.set_yticks([])
        else:
            axes.set_aspect("equal")
    return figure


def draw(subjects: Sequence[Field | Spec], path: Path | None = None) -> Figure:
    """``visualize_receptive_field`` for several, one above the other."""
    heights = [3.7 if _field(each).size else 0.5 for each in subjects]
    with drawn(path, 9.5, sum(heights)) as figure:
        rows = figure.subfigures(len(subjects), 1, squeeze=False, height_ratios=heights)[:, 0]
        for row, subject in zip([figure] if len(subjects) == 1 else rows, subjects, strict=True):
            _row(row, subject)
    return figure


def _field(subject: Field | Spec) -> Field:
    return subject if isinstance(subject, Field) else subject.field


def _row(figure: Figure | SubFigure, subject: Field | Spec) -> None:
    field = _field(subject)
    squared = bool(field.history and field.lookahead) and field.size <= WIDEST_MAP and field.parts is not None
    name = subject.text if isinstance(subject, Spec) else "This field"
    figure.suptitle(_finding(name, field, squared), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    if not field.size:
        figure.add_subplot().set_axis_off()
        return
    countable = isinstance(subject, Spec) and subject.work <= MOST_WORK
    paths = subject.paths if countable else Paths.of(field)
    if max(paths.counts) > MOST_PATHS:
        paths = Paths.of(field)
    if squared:
        left, right = figure.subplots(1, 2, width_ratios=[1.9, 1])
        read_map(right, field, _ways(subject) if paths.counts != Paths.of(field).counts else None)
    else:
        left = figure.add_subplot()
    comb(left, paths, subject.spread.sigma if isinstance(subject, Spec) else None)


def _ways(subject: Field | Spec) -> Ways | None:
    try:
        return subject.ways if isinstance(subject, Spec) else None
    except ValueError:  # too many to tell apart
        return None


def _finding(name: str, field: Field, squared: bool) -> str:
    """The picture's sentence; a long name stands on a line of its own."""
    shown = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
    shown += "\n" if len(name) > LONGEST_NAME // 3 else " "
    if not field.size:
        return f"{shown}reads the whole input, through a global branch"
    aside = ", beside a global branch" if field.is_global else ""
    if field.size == 1:
        return f"{shown}reads one input{aside}"
    span = f"{field.size:,}×{field.size:,}" if squared else f"{field.size:,}"
    share = field.coverage_in(2 if squared else 1)
    return f"{shown}spans {span} inputs and reads {'every one' if share == 1 else percent(share)} of them{aside}"


def comb(axes: Axes, paths: Paths, sigma: float | None = None) -> None:
    """The paths from each input along one axis; white columns are holes."""
    counts = np.array(paths.counts, dtype=float)
    at, most = np.arange(len(counts)) + paths.offset, counts.max()
    if len(at) <= WIDEST_MAP:
        read = counts > 0
        axes.bar(at[read], counts[read], width=0.82, linewidth=0, color=HEAT(_norm(most)(counts[read])))
    else:
        axes.stairs(counts, [*(at - 0.5), at[-1] + 0.5], fill=True, color=BLUE)
    margin = 0.03 * len(at) + 0.5
    axes.set_xlim(at[0] - 0.5 - margin, at[-1] + 0.5 + margin)
    axes.set_ylim(0, 1.24 * most)
    if sigma:
        mean = paths.mean
        axes.plot([mean - sigma, mean + sigma], [1.1 * most] * 2, color=ORANGE, lw=1.5, marker="|", ms=7)
        axes.annotate(
            f"mean ± σ, σ = {sigma:.3g}", (mean, 1.1 * most), xytext=(0, 4), textcoords="offset points",
            ha="center", va="bottom", color=ORANGE, fontsize=8,
        )  # fmt: skip
    for axis, ticks in ((axes.xaxis, 9), (axes.yaxis, 6)):
        axis.set_major_locator(MaxNLocator(ticks, integer=True))
        if most < 1e7:
            axis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("input, counted from the output's own place")
    axes.set_ylabel("paths")


def read_map(axes: Axes, field: Field, ways: Ways | None = None) -> None:
    """The same along two axes: the numbers of paths, or without ``ways`` only what is read."""
    both = np.zeros((field.size, field.size))
    if ways:
        for way, number in ways.alike:
            line = np.zeros(field.size)
            line[way.offset - field.offset :][: len(way.counts)] = way.counts
            both += number * np.outer(line, line)
    else:
        for part in field.parts or (field,):
            reads = np.isin(np.arange(field.size) + field.offset, part.offsets)
            both[np.outer(reads, reads)] = 1
    low, high = field.offset - 0.5, field.offset + field.size - 0.5
    image = axes.imshow(
        np.ma.masked_equal(both, 0), cmap=HEAT, norm=_norm(both.max()), extent=(low, high, high, low),
        interpolation="nearest",
    )  # fmt: skip
    axes.add_patch(Rectangle((low, low), high - low, high - low, fill=False, edgecolor=GREY, lw=1, clip_on=False))
    axes.plot(0, 0, marker="+", color=ORANGE, ms=7, mew=1.5)
    axes.spines[:].set_visible(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, integer=True))
    if both.max() > 1:
        bar = axes.figure.colorbar(image, ax=axes, shrink=0.8, label="paths; white is never read", pad=0.03)
        bar.outline.set_visible(False)
        bar.ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        if both.max() < 1e7:
            bar.ax.yaxis.set_major_formatter("{x:,.0f}")
    else:
        axes.set_xlabel("blue is read, white never")


def _norm(most: float) -> PowerNorm:
    """From one path up, so that few are still told from none; a lone path is the middle of the scale."""
    return PowerNorm(0.5, vmin=1, vmax=most) if most > 1 else PowerNorm(0.5, vmin=0, vmax=4)
