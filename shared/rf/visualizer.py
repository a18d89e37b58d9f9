"""The pictures that teach dilation: taps on a grid, growth with depth, the tree of a causal stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from shared.figures import BLUE, GREY, ORANGE, drawn
from shared.rf.field import Field
from shared.rf.stacks import conv, stack
from shared.schedules import exponential, linear

PURPLE, FAINT = "#cc79a7", "#d9dee4"  # one more of Okabe and Ito's; what is not read
WORDS = {2: "doubled", 3: "tripled", 4: "quadrupled"}


@dataclass(frozen=True)
class DilatedConvVisualizer:
    """Draws convolutions of one kernel; every method returns a figure, and writes it as PNG where a path is given.

    >>> DilatedConvVisualizer().taps([1, 8]).axes[1].get_xlabel()
    'spans 17×17, reads 9 of 289 (3.1 %)'
    """

    kernel_size: int = 3

    def taps(self, dilations: Sequence[int] = (1, 2, 4, 8), path: Path | str | None = None) -> Figure:
        """What one output of a single layer reads of an image, for each dilation on the same grid of pixels."""
        fields = [conv(self.kernel_size, dilation) for dilation in dilations]
        largest = max(fields, key=lambda field: field.size)
        with drawn(_path(path), 2.6 * len(fields) + 0.4, 3.5) as figure:
            panels = figure.subplots(1, len(fields), squeeze=False)[0]
            for axes, dilation, field in zip(panels, dilations, fields, strict=True):
                _grid(axes, field, largest)
                axes.set_title(f"dilation {dilation}", loc="left", fontsize=9)
                reads, cells = len(field.offsets) ** 2, field.size**2
                share = "all of them" if reads == cells else f"{100 * reads / cells:.1f} %"
                axes.set_xlabel(f"spans {field.size}×{field.size}, reads {reads} of {cells} ({share})")
            kernel = f"{self.kernel_size}×{self.kernel_size}"
            _title(figure, f"Whatever it spans, a {kernel} kernel reads {self.kernel_size**2} pixels")
        return figure

    def growth(self, layers: int = 10, path: Path | str | None = None) -> Figure:
        """The span of one layer over its dilation, and the field of a stack over its depth, for four schedules."""
        with drawn(_path(path), 10, 4.1) as figure:
            left, right = figure.subplots(1, 2, width_ratios=[1, 1.5])
            rates = np.arange(1, 17)
            left.plot(rates, [conv(self.kernel_size, int(rate)).size for rate in rates], color=BLUE, marker="o", ms=3.5)
            left.set_title("One layer", loc="left", fontsize=9)
            left.set_xlabel("dilation")
            left.set_ylabel("span of one layer, inputs")
            left.set_xticks([1, 4, 8, 12, 16])
            left.set_ylim(0)
            self._schedules(right, layers)
            _title(
                figure, "A layer's span is linear in its dilation; where dilations multiply, a stack's is exponential"
            )
        return figure

    def tree(self, dilations: Sequence[int] = (1, 2, 4, 8), path: Path | str | None = None) -> Figure:
        """A causal stack of these dilations, every connection faint and those into one output bright."""
        fields = [stack(self.kernel_size, dilations[:depth], causal=True) for depth in range(len(dilations) + 1)]
        field, depth = fields[-1], len(dilations)
        times = range(1 - field.size - field.size // 4, 1)
        bright: list[set[int]] = [set() for _ in range(depth)] + [{0}]
        for layer in range(depth, 0, -1):
            taps = conv(self.kernel_size, dilations[layer - 1], causal=True).offsets
            bright[layer - 1] = {time + tap for time in bright[layer] for tap in taps}
        with drawn(_path(path), max(5.5, min(14, 0.32 * len(times) + 1.6)), 0.75 * depth + 1.6) as figure:
            axes = figure.add_subplot()
            for layer, dilation in enumerate(dilations):
                taps = conv(self.kernel_size, dilation, causal=True).offsets
                edges = [(time + tap, time) for time in times for tap in taps if time + tap in times]
                lit = [edge for edge in edges if edge[1] in bright[layer + 1]]
                for pairs, colour, width, order in ((edges, FAINT, 0.6, 1), (lit, BLUE, 1.5, 2)):
                    lines = [((begin, layer), (end, layer + 1)) for begin, end in pairs]
                    axes.add_collection(LineCollection(lines, colors=colour, linewidths=width, zorder=order))
            for layer, reached in enumerate(bright):
                dark = sorted(reached)
                pale = [time for time in times if time not in reached]
                axes.scatter(pale, [layer] * len(pale), s=26, facecolor="white", edgecolor=FAINT, zorder=3)
                axes.scatter(dark, [layer] * len(dark), s=34, color=ORANGE if layer == depth else BLUE, zorder=4)
                name = f"dilation {dilations[layer - 1]}" if layer else "input"
                axes.annotate(name, (times[0] - 1, layer), ha="right", va="center", color=GREY, annotation_clip=False)
            axes.annotate(
                "", (field.offset - 0.4, -0.45), (0.4, -0.45), arrowprops={"arrowstyle": "|-|", "color": BLUE}
            )
            axes.annotate(f"{field.size} inputs", (field.offset / 2, -0.55), ha="center", va="top", color=BLUE)
            axes.set_xlim(times[0] - 0.6, 0.8)
            axes.set_ylim(-0.9, depth + 0.3)
            axes.set_axis_off()
            holes = "every one of them" if field.gap_free else f"{len(field.offsets)} of them"
            _title(figure, f"{depth} layers see {field.size} inputs, read {holes}, and never the future")
        return figure

    def _schedules(self, axes: Axes, layers: int) -> None:
        factor = self.kernel_size
        schedules: list[tuple[str, Callable[[int], Sequence[int]], str]] = [
            ("all 1", lambda depth: [1] * depth, GREY),
            ("1, 2, 3 …", linear, PURPLE),
            ("doubled", exponential, BLUE),
        ]
        if factor != 2:
            word = WORDS.get(factor, f"times {factor}")
            schedules.append((word, lambda depth: exponential(depth, base=factor), ORANGE))
        depths = range(1, layers + 1)
        for name, schedule, colour in schedules:
            sizes = [stack(self.kernel_size, schedule(depth)).size for depth in depths]
            axes.plot(depths, sizes, color=colour, marker="o", ms=3.5)
            axes.annotate(
                f"{name}: {sizes[-1]:,}", (layers, sizes[-1]), xytext=(7, 0), textcoords="offset points",
                va="center", color=colour, fontweight="bold", annotation_clip=False,
            )  # fmt: skip
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlim(1 - 0.04 * layers, layers * 1.32)
        axes.spines.bottom.set_bounds(1, layers)
        axes.set_xticks([depth for depth in depths if depth == 1 or depth % max(1, layers // 5) == 0])
        axes.set_title("A stack, by how its dilations go on", loc="left", fontsize=9)
        axes.set_xlabel("layers")
        axes.set_ylabel("receptive field, inputs")


def _grid(axes: Axes, field: Field, largest: Field) -> None:
    low, high = largest.offset - 1.5, largest.offset + largest.size + 0.5
    lines = np.arange(low, high + 1)
    axes.vlines(lines, low, high, color=FAINT, lw=0.5)
    axes.hlines(lines, low, high, color=FAINT, lw=0.5)
    for row in field.offsets:
        for column in field.offsets:
            own = row == column == 0
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=ORANGE if own else BLUE, linewidth=0))
    corner = field.offset - 0.5
    axes.add_patch(Rectangle((corner, corner), field.size, field.size, fill=False, edgecolor=GREY, lw=1.2, zorder=3))
    axes.set_xlim(low, high)
    axes.set_ylim(high, low)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _title(figure: Figure, text: str) -> None:
    figure.suptitle(text, x=0.01, ha="left", fontsize=10.5, fontweight="bold")


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)
