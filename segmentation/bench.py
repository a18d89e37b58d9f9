"""``segmentation bench``: how long a picture takes, in each form of the network, and what faster forms change."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from segmentation.data.shapes import draw
from segmentation.model import SegmentationModel

ROUNDS = 5


@dataclass(frozen=True)
class Measurement:
    """One row; the fields are the keys of ``--json``."""

    form: str
    threads: int
    height: int
    width: int
    seconds: float
    """Of the median picture, from pixels to ids."""
    times_plain: float
    """How many times as fast as the plain network, in the same run."""
    other_pixels: float
    """Share of the pixels whose class is not the plain network's."""


def bench(
    model: SegmentationModel, size: tuple[int, int], threads: int, progress: Callable[[float, str], None]
) -> list[Measurement]:
    """Measure the plain network, the inference form, and its bfloat16 form, taking turns."""
    pixels = draw(size, np.random.default_rng(0))[0]
    network = model.network.eval()

    def plain() -> np.ndarray:
        with torch.inference_mode():
            images = model.config.normalisation.tensor(pixels).contiguous().to(model.device)
            return network(images)[0].argmax(0).to(torch.uint8).cpu().numpy()

    forms: dict[str, Callable[[], np.ndarray]] = {
        "plain network": plain,
        "predict": lambda: model.predict(pixels, tile=0).ids,
        "predict --fast": lambda: model.predict(pixels, tile=0, fast=True).ids,
    }
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    answers = {}
    for turn in range(ROUNDS + 1):  # the first pays for what is prepared once
        for at, (name, call) in enumerate(forms.items()):
            progress((turn * len(forms) + at) / ((ROUNDS + 1) * len(forms)), name)
            begun = time.perf_counter()
            answers[name] = call()
            if turn:
                seconds[name].append(time.perf_counter() - begun)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    return [
        Measurement(
            form=name,
            threads=threads,
            height=size[0],
            width=size[1],
            seconds=round(median, 5),
            times_plain=round(medians["plain network"] / median, 3),
            other_pixels=float((answers[name] != answers["plain network"]).mean()),
        )
        for name, median in medians.items()
    ]
