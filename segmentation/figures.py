"""The training curve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.figures import BLUE, drawn, training_line


def curve(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Loss of each step, and mean IoU on held-back pictures, over steps."""
    losses = [(r["step"], r["loss"]) for r in records if r.get("loss") is not None and not r["skipped"]]
    scores = [(r["step"], 100 * r["mean_iou"]) for r in records if r.get("mean_iou") is not None]
    with drawn(path, 7, 3.6) as figure:
        left = figure.add_subplot()
        training_line(left, losses)
        if losses:
            left.set_ylim(0, 1.1 * float(np.quantile([loss for _, loss in losses], 0.99)))
        left.set_xlabel("step")
        left.set_ylabel("training loss")
        right = left.twinx()
        right.set_ylim(0, 100)
        right.set_ylabel("mean IoU on held-back pictures, %", color=BLUE)
        if scores:
            right.plot(*np.array(scores).T, color=BLUE, lw=1.8, marker="o", ms=3)
            left.set_title(f"Mean IoU reaches {scores[-1][1]:.1f} %", loc="left")
