"""``wavenet evaluate``: bits per sample on recordings, beside two yardsticks."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from shared.config import from_json
from shared.errors import InputError
from shared.training import checkpoint, machine
from shared.training.progress import ProgressLine
from wavenet.commands.train import source_of
from wavenet.data.conditions import Conditions, labels_of
from wavenet.data.tracks import seconds_of
from wavenet.evaluate import bits_per_sample
from wavenet.model import WaveNet
from wavenet.run import Run
from wavenet.telling import speakers_of
from wavenet.yardsticks import yardsticks


def run(arguments: Namespace) -> int:
    """Bits per sample on recordings."""
    machine.keep_memory()
    machine.use_threads(arguments.threads)
    folder = Path(arguments.model)
    model = WaveNet.from_pretrained(folder, machine.device_named(arguments.device))
    values = checkpoint.load_config(folder)
    run = from_json(Run, values) if "data" in values else None
    with ProgressLine("evaluating", arguments.quiet) as line:
        tracks = source_of(arguments.data, arguments.root).load(run.train.validation if run else 0.1, None)
        for remark in tracks.remarks:
            line.say(remark)
        resumable = (folder / checkpoint.RESUME).exists()
        known = resumable and checkpoint.training_state(folder).get("data") == tracks.fingerprint
        part = ("validation" if known else "all") if arguments.part == "auto" else arguments.part
        if part == "all" and run is not None:
            line.say("measuring all of it, which may hold sound that the model was trained on")
        everything = tracks.whole
        chosen = {"train": tracks.train, "validation": tracks.validation, "all": everything}[part]
        if not chosen:
            raise InputError(f"{arguments.data}: nothing held back in it; --part all measures everything")
        how = speakers_of(arguments.speakers) if arguments.speakers else run.speakers if run else ""
        if model.config.labels and not how:
            raise InputError(f"the model knows {len(model.config.labels.names)} speakers; say which by --speakers")
        labels = labels_of(everything, how) if model.config.labels else {}
        conditions = Conditions(model.config, labels, run.features if run else "")
        conditions.check(chosen)
        result = bits_per_sample(
            model, chosen, conditions=conditions, progress=lambda done, total: line.update(done / total)
        )
        measured = yardsticks(tracks.train or everything, chosen, model.config.output)
    summary = {
        "model": str(arguments.model),
        "data": str(arguments.data),
        "part": part,
        "files": len(chosen),
        "seconds": round(seconds_of(chosen), 2),
        "samples": result.samples,
        "scale": model.config.output.scale,
        "bits_per_sample": round(result.bits, 4),
        "bits_16": round(result.bits_16, 4),
        "bits_mu_law": round(result.bits_mu_law, 4),
        "yardsticks": {name: round(value, 4) for name, value in asdict(measured).items()},
    }
    if arguments.json:
        print(json.dumps(summary, indent=2))
    else:
        print(
            f"{result.bits:.3f} bits per sample over {len(chosen)} files, {seconds_of(chosen):.0f} s ({part}); "
            f"order-0 entropy {measured.order_0:.3f}, linear predictor {measured.linear_32:.3f}; "
            f"all of {model.config.output.scale}\n"
            f"to compare with any model: {result.bits_16:.3f} of 16-bit samples, {result.bits_mu_law:.3f} of mu-law "
            "codes of 256"
        )
    return 0
