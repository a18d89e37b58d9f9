"""``segmentation info``: what a folder's model is, and how far its run got."""

from __future__ import annotations

import contextlib
import json
from argparse import Namespace
from pathlib import Path
from shlex import quote
from typing import Any

from segmentation.model import SegmentationModel
from segmentation.trainer import RESULTS
from shared.config import to_json
from shared.training import checkpoint
from shared.training.progress import clock


def run(arguments: Namespace) -> int:
    """What a folder's model is and how far its run got."""
    folder = Path(arguments.model)
    model = SegmentationModel.from_pretrained(folder)
    network = model.network
    summary: dict[str, Any] = {
        "model": to_json(model.config),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "output_stride": network.field.jump,
        "receptive_fields": [field.size for field in network.branches],
        "halo": network.halo,
    }
    values = checkpoint.load_config(folder)
    if "train" in values and (folder / checkpoint.RESUME).exists():
        state = checkpoint.training_state(folder)
        summary["run"] = {"data": values["data"], "train": values["train"], **state}
        with contextlib.suppress(OSError, ValueError, AttributeError):  # no results yet, or damaged ones
            summary["run"]["mean_iou"] = json.loads((folder / RESULTS).read_text(encoding="utf-8")).get("mean_iou")
    if arguments.json:
        print(json.dumps(summary, indent=2))
        return 0
    classes = ", ".join(model.classes.names)
    fields = " / ".join(map(str, summary["receptive_fields"]))
    print(f"{folder}: {type(model.config.network).__name__} of {summary['parameters']:,} parameters")
    print(f"  {model.classes.count} classes: {classes}")
    print(f"  output stride {network.field.jump}; branches of the pyramid see {fields} pixels")
    if run := summary.get("run"):
        reached = f", mean IoU {100 * run['mean_iou']:.1f} on held-back pictures" if run.get("mean_iou") else ""
        print(f"  trained for {run['step']} steps, {clock(run['seconds'])}, in {run['precision']}{reached}")
        print(f"  on {', '.join(f'{key} {value}' for key, value in run['data'].items() if value)}")
    print(f"next: segmentation predict {quote(str(folder))} PICTURES -o masks/ --overlay")
    return 0
