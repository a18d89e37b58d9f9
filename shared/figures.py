"""The look of every figure, and the way one is written. matplotlib's global state stays as it was."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from shared.files import write_file

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#777777"  # Okabe and Ito's palette, safe for the colour-blind
DOTS = 130  # an inch
STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titleweight": "bold"}


@contextmanager
def drawn(path: Path | None, width: float, height: float) -> Iterator[Figure]:
    """A figure of so many inches; it is written as PNG when the block ends, if a path is given.

    Without one, ``rendered`` in the block gives the picture itself.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        if path is None:
            return
        content = rendered(figure)
    write_file(path, content)


def rendered(figure: Figure, *, colours: int | None = None) -> bytes:
    """The figure as PNG; with so many ``colours``, up to 256, in a third of the bytes."""
    png = io.BytesIO()
    canvas = FigureCanvasAgg(figure)
    if colours is None:
        canvas.print_figure(png, dpi=DOTS, format="png")
    else:
        figure.set_dpi(DOTS)
        canvas.draw()
        full = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        full.quantize(colours, dither=Image.Dither.NONE).save(png, "PNG", optimize=True)
    return png.getvalue()


def training_line(axes: Axes, points: Sequence[tuple[int, float]]) -> None:
    """What each step measured, faintly, and its running mean: ``(step, value)`` in order."""
    if not points:
        return
    steps, values = np.array(points).T
    axes.plot(steps, values, color=GREY, alpha=0.25, lw=0.6)
    width = max(1, len(values) // 60)
    smooth = np.convolve(values, np.ones(width) / width, mode="valid")
    axes.plot(steps[width - 1 :], smooth, color=GREY, lw=1.2, label="training")
