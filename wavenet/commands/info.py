"""``wavenet info``: what a folder's model is and how far its run got."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from shlex import quote
from typing import Any

from shared.config import to_json
from shared.training import checkpoint
from shared.training.journal import Journal
from shared.training.progress import clock
from shared.training.session import METRICS
from wavenet.commands.train import next_of
from wavenet.mel import Mel
from wavenet.model import WaveNet


def run(arguments: Namespace) -> int:
    """What a folder's model is and how far its run got."""
    folder = Path(arguments.model)
    model = WaveNet.from_pretrained(folder)
    summary: dict[str, Any] = {
        "model": to_json(model.config),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "sample_rate": model.sample_rate,
        "receptive_field": {"samples": model.receptive_field, "seconds": model.receptive_field / model.sample_rate},
    }
    values = checkpoint.load_config(folder)
    if "data" in values and (folder / checkpoint.RESUME).exists():
        state = checkpoint.training_state(folder)
        records = Journal(folder / METRICS).records() if (folder / METRICS).exists() else []
        bits = [r["validation_bits"] for r in records if r.get("validation_bits") is not None]
        summary["run"] = {
            "data": values["data"],
            "train": values["train"],
            "step": state["step"],
            "seconds": round(state["seconds"], 1),
            "budget": state["budget"],
            "precision": state["precision"],
            "threads": state["threads"],
            "validation_bits_per_sample": bits[-1] if bits else None,
        }
    if arguments.json:
        print(json.dumps(summary, indent=2))
        return 0
    config = model.config
    print(f"{folder}: WaveNet of {summary['parameters']:,} parameters at {model.sample_rate} Hz")
    dilations = " ".join(map(str, config.dilations))
    print(f"  {len(config.dilations)} layers, kernel {config.kernel_size}, dilations {dilations}")
    print(f"  residual {config.residual_channels}, gate {config.gate_channels}, skip {config.skip_channels} channels")
    print(f"  receptive field {model.receptive_field} samples, {model.receptive_field / model.sample_rate:.3f} s")
    if config.labels:
        print(f"  {len(config.labels.names)} speakers: {', '.join(config.labels.names)}")
    if config.frames:
        what = "mel bands" if isinstance(config.frames, Mel) else "features"
        print(f"  told {config.frames.channels} {what} every {config.frames.hop} samples")
    if run := summary.get("run"):
        bits = run["validation_bits_per_sample"]
        reached = f", {bits:.3f} bits per sample on held-back sound" if bits else ""
        print(f"  trained for {run['step']} steps, {clock(run['seconds'])}, in {run['precision']}{reached}")
        print(f"  on {', '.join(f'{key} {value}' for key, value in run['data'].items() if value is not None)}")
        print(f"next: {next_of(folder)}, or wavenet train --resume {quote(str(folder))} --minutes 10")
    return 0
