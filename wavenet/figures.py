"""Pictures: the training curve, and real beside generated sound. The only file of the package that draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from shared.figures import BLUE, GREY, ORANGE, drawn, training_line
from wavenet.audio import RATE
from wavenet.yardsticks import Yardsticks


def curve(records: Sequence[dict[str, Any]], measured: Yardsticks, path: Path) -> None:
    """Training and validation bits per sample over steps, with the yardsticks as lines."""
    with drawn(path, 7, 3.6) as figure:
        axes = figure.add_subplot()
        training = [(r["step"], r["bits"]) for r in records if r.get("bits") is not None and not r["skipped"]]
        held = [(r["step"], r["validation_bits"]) for r in records if r.get("validation_bits") is not None]
        training_line(axes, training)
        if held:
            axes.plot(*np.array(held).T, color=BLUE, lw=1.8, marker="o", ms=3, label="validation")
            axes.set_title(f"Validation reaches {held[-1][1]:.2f} bits per sample", loc="left")
        for value, name in ((measured.order_0, "order-0 entropy"), (measured.linear_32, "linear predictor")):
            axes.axhline(value, color=ORANGE, lw=1, ls="--")
            axes.annotate(
                f"{name} {value:.2f}", (1, value), xycoords=("axes fraction", "data"), xytext=(-2, 2),
                textcoords="offset points", ha="right", va="bottom", color=ORANGE, fontsize=8,
            )  # fmt: skip
        low = min([bits for _, bits in held] + [measured.linear_32])
        axes.set_ylim(max(0, low - 0.4), max(8.1, measured.order_0 + 1))
        axes.set_xlabel("step")
        axes.set_ylabel("bits per sample")
        axes.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.9))


def comparison(real: np.ndarray, generated: np.ndarray, path: Path) -> None:
    """Waveform and spectrogram of a real and a generated sound, side by side; both ``[t]`` at 16 kHz."""
    with drawn(path, 9, 4.6) as figure:
        grid = figure.subplots(2, 2, height_ratios=[1, 1.6], sharex="col", sharey="row")
        for column, (name, wave, colour) in enumerate((("real", real, GREY), ("generated", generated, BLUE))):
            top, bottom = grid[:, column]
            seconds = np.arange(len(wave)) / RATE
            top.plot(seconds, wave, color=colour, lw=0.4)
            top.set_title(name, loc="left")
            top.set_ylim(-1, 1)
            spectrogram(bottom, wave)
            bottom.set_xlabel("seconds")
        grid[0, 0].set_ylabel("amplitude")
        grid[1, 0].set_ylabel("kHz")


def spectrogram(axes: Axes, wave: np.ndarray) -> None:
    """Power in dB over time and frequency, 64 ms Hann windows every 8 ms, the loudest 80 dB shown."""
    size, hop = 1024, 128
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(wave, size // 2), size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size))) ** 2
    level = 10 * np.log10(power / max(power.max(), 1e-12) + 1e-12)
    axes.imshow(
        level.T, origin="lower", aspect="auto", cmap="magma", vmin=-80, vmax=0,
        extent=(0, len(wave) / RATE, 0, RATE / 2000), interpolation="nearest",
    )  # fmt: skip
