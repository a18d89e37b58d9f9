"""Pictures: the training curve, spectrograms, a network's dilations. The only file of the package that draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from shared.figures import BLUE, GREY, ORANGE, drawn, rendered, training_line
from wavenet.audio import RATE
from wavenet.model import WaveNetConfig
from wavenet.yardsticks import Yardsticks

WINDOW, HOP = 1024, 128  # samples: 64 and 8 ms
RANGE = 80  # dB, from the darkest to the brightest


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
            ).set_in_layout(False)  # fmt: skip
        low = min([bits for _, bits in held] + [measured.linear_32])
        axes.set_ylim(max(0, low - 0.4), max(8.1, measured.order_0 + 1, low + 1))
        axes.set_xlabel("step")
        axes.set_ylabel("bits per sample")
        axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)


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


def power(wave: np.ndarray) -> np.ndarray:
    """Power over time and frequency, ``[t] -> [1 + t // 128, 513]``, of 64 ms Hann windows every 8 ms."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(wave, WINDOW // 2), WINDOW)[::HOP]
    return np.abs(np.fft.rfft(frames * np.hanning(WINDOW))) ** 2


def spectrogram(axes: Axes, wave: np.ndarray, loudest: float | None = None) -> None:
    """Draw ``power`` in dB, the 80 below ``loudest``, which is the sound's own maximum unless given."""
    found = power(wave)
    level = 10 * np.log10(found / max(found.max() if loudest is None else loudest, 1e-12) + 1e-12)
    axes.imshow(
        level.T, origin="lower", aspect="auto", cmap="magma", vmin=-RANGE, vmax=0,
        extent=(0, len(wave) / RATE, 0, RATE / 2000), interpolation="antialiased",
    )  # fmt: skip


def spectrogram_png(wave: np.ndarray, *, seconds: float, loudest: float, width: float = 4.2) -> bytes:
    """A spectrogram ``width`` inches wide as PNG; pictures of equal ``seconds`` and ``loudest`` can be compared."""
    with drawn(None, width, 1.75) as figure:
        axes = figure.add_subplot()
        spectrogram(axes, wave, loudest)
        axes.set_xlim(0, seconds)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(lambda second, _: f"{second:g} s")
        axes.set_ylabel("kHz")
        axes.set_yticks([0, 2, 4, 6, 8])
        return rendered(figure, colours=128)


def dilations_png(config: WaveNetConfig) -> bytes:
    """The dilation of each layer, and what they add up to, as PNG."""
    with drawn(None, 7, 2.2) as figure:
        axes = figure.add_subplot()
        layers = range(1, len(config.dilations) + 1)
        axes.bar(layers, config.dilations, color=BLUE, width=0.7)
        axes.set_yscale("log", base=2)
        axes.set_ylim(0.7, 2 * max(config.dilations))
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("layer")
        axes.set_ylabel("dilation, samples")
        axes.set_xlim(0.3, len(config.dilations) + 0.7)
        milliseconds = 1000 * config.receptive_field / RATE
        axes.set_title(
            f"{len(config.dilations)} layers see {config.receptive_field:,} samples, {milliseconds:.0f} ms", loc="left"
        )
        return rendered(figure, colours=64)
