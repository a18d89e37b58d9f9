"""The commands behind ``wavenet.cli``, one function each: arguments in, exit code out."""

from __future__ import annotations

import json
import logging
import sys
from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path
from shlex import quote
from typing import Any

from shared.cli import FAILED, INTERRUPTED, seed_of
from shared.config import from_json, to_json
from shared.errors import InputError
from shared.files import numbered
from shared.training import checkpoint, machine
from shared.training.journal import Journal
from shared.training.progress import ProgressLine, clock
from shared.training.session import METRICS
from shared.training.settings import only_resuming, plan_of, settled
from wavenet import trainer
from wavenet.data import Recordings, Source, torchaudio_sets
from wavenet.data.conditions import Conditions, labels_of
from wavenet.data.folder import scan
from wavenet.data.tracks import seconds_of
from wavenet.distributions import BY_NAME
from wavenet.evaluate import bits_per_sample
from wavenet.mel import Mel
from wavenet.model import PRESETS, WaveNet, WaveNetConfig
from wavenet.run import Outcome, Run
from wavenet.telling import speakers_of, with_conditions
from wavenet.yardsticks import yardsticks

DEFAULT_PRESET = "small"
DEFAULT_SECONDS = 3.0  # of a clip


def demo(arguments: Namespace) -> int:
    """Train on the built-in melodies, write a sound, a curve and a picture."""
    from wavenet.demo import run

    return run(arguments, seed_of(arguments))


def prepare(arguments: Namespace) -> int:
    """Say what a folder holds; with ``--out``, write a 16 kHz copy."""
    from wavenet.preparing import write_copies

    with ProgressLine("reading", arguments.quiet) as line:
        found = scan(arguments.data, progress=lambda done, total: line.update(done / total))
        for text in (*found.refused, *found.warnings):
            line.say(text)
        if arguments.out:
            write_copies(found, Path(arguments.out), overwrite=arguments.force, line=line)
    rates = {f"{rate} Hz": count for rate, count in sorted(found.rates.items())}
    summary = {
        "data": str(arguments.data),
        "files": len(found.recordings),
        "minutes": round(found.seconds / 60, 2),
        "rates": rates,
        "refused": list(found.refused),
        "warnings": list(found.warnings),
    }
    if arguments.json:
        print(json.dumps(summary, indent=2))
    else:
        listed = ", ".join(f"{count} at {rate}" for rate, count in rates.items())
        print(
            f"{len(found.recordings)} files, {found.seconds / 60:.1f} minutes: {listed}; {len(found.refused)} refused"
        )
        if arguments.out:
            print(f"16 kHz copy in {arguments.out}")
        print(f"next: wavenet train {quote(str(arguments.out or arguments.data))} --minutes 20")
    return 0


def train(arguments: Namespace) -> int:
    """Start or resume a run."""
    plan = plan_of(arguments)
    if arguments.resume:
        only_resuming(arguments, "root", "output", "speakers", "mel", "features")
        return finished(trainer.resume(Path(arguments.resume), plan))
    if not arguments.data:
        raise InputError("train on what? give a folder of recordings, or --resume RUN")
    run = configured(arguments, Run(data=source_of(arguments.data, arguments.root)))
    if arguments.print_config:
        print(json.dumps(to_json(run), indent=2))
        return 0
    given = arguments.data
    name = given.replace(":", "-") if given.startswith("torchaudio:") else Path(given).resolve().stem
    folder = Path(arguments.out) if arguments.out else numbered(Path("runs") / name)
    return finished(trainer.start(run, folder, plan, overwrite=arguments.overwrite))


def configured(arguments: Namespace, run: Run) -> Run:
    """The run with preset, file, flags and ``--set`` laid over it, in this order."""
    name = arguments.preset or DEFAULT_PRESET
    if name not in PRESETS:
        raise InputError(f"--preset {name}: there are {', '.join(PRESETS)}")
    run = replace(run, model=PRESETS[name])
    run = with_conditions(arguments, run)
    if arguments.output is not None:
        if arguments.output not in BY_NAME:
            raise InputError(f"--output {arguments.output}: there are {', '.join(BY_NAME)}")
        chosen = to_json(BY_NAME[arguments.output])
        arguments.settings = [
            *(f"model.output.{field}={value}" for field, value in chosen.items()),
            *arguments.settings,
        ]
    return settled(arguments, run)


def finished(outcome: Outcome) -> int:
    """Print what a run came to and what to do next."""
    folder = outcome.folder
    if outcome.interrupted:
        how = f"wavenet train --resume {quote(str(folder))}"
        print(f"stopped at step {outcome.step}, saved; go on with: {how}", file=sys.stderr)
        return INTERRUPTED
    measured = outcome.yardsticks
    print(
        f"{folder}: step {outcome.step}, {clock(outcome.seconds)}, {outcome.bits:.3f} bits per sample on held-back "
        f"sound (order-0 entropy {measured.order_0:.3f}, linear predictor {measured.linear_32:.3f})\n"
        f"next: {next_of(folder)}"
    )
    return 0


def next_of(folder: Path) -> str:
    """What to do with a trained model."""
    config, name = from_json(WaveNetConfig, checkpoint.load_config(folder)["model"]), quote(str(folder))
    who = f" --speaker {quote(config.labels.names[0])}" if config.labels else ""
    if config.frames:
        source = "RECORDING" if isinstance(config.frames, Mel) else "FRAMES.npy"
        return f"wavenet vocode {name} {source}{who} -o copy.wav"
    return f"wavenet generate {name} --seconds 3{who}"


def generate(arguments: Namespace) -> int:
    """Write clips as they grow."""
    from wavenet.writing import resume_clips, write_clips

    logging.getLogger("wavenet").setLevel(logging.ERROR if arguments.quiet else logging.WARNING)
    if arguments.resume:
        others = ("out", "number", "temperature", "prompt", "prompt_seconds", "precision", "force", "seed")
        if any(getattr(arguments, name) != arguments.parser.get_default(name) for name in others):
            raise InputError(
                "--resume takes everything from the note beside the clip; only RUN, --seconds, --engine go with it"
            )
        machine.use_threads(arguments.threads or 1)
        return resume_clips(arguments)
    if not arguments.model:
        raise InputError("generate from what? give a run folder, or --resume CLIP.wav")
    arguments.seconds = arguments.seconds or DEFAULT_SECONDS
    machine.use_threads(arguments.threads or (1 if arguments.number == 1 else None))  # one clip is one thread's work
    return write_clips(arguments, seed_of(arguments))


def vocode(arguments: Namespace) -> int:
    """Sound from mel spectrograms."""
    from wavenet.vocoder import vocode as make

    logging.getLogger("wavenet").setLevel(logging.ERROR if arguments.quiet else logging.WARNING)
    machine.use_threads(arguments.threads)
    return make(arguments, seed_of(arguments))


def evaluate(arguments: Namespace) -> int:
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


def bench(arguments: Namespace) -> int:
    """Samples a second of each engine."""
    from wavenet.bench import bench as measure

    model = WaveNet.from_pretrained(arguments.model, machine.device_named(arguments.device))
    cores = machine.use_threads(arguments.threads)
    threads = [arguments.threads] if arguments.threads else sorted({1, cores})
    rows = []
    form = "{:10} {:9} {:>7} {:>7} {:>11} {:>9} {:>6} {:>9}"
    if not arguments.json:
        print(form.format("engine", "precision", "streams", "threads", "samples/s", "real time", "right", "start-up"))
    with ProgressLine("measuring", arguments.quiet) as line:
        for row in measure(model, arguments.streams, threads, line.say):
            rows.append(asdict(row))
            if not arguments.json:
                speed, factor, start = row.samples_per_second, row.real_time_factor, row.startup_seconds
                right = "yes" if row.agrees_with_reference else "NO"
                shown = (f"{speed:,.0f}", f"{factor:.3f}", right, f"{start:.2f} s")
                print(form.format(row.engine, row.precision, row.streams, row.threads, *shown), flush=True)
    if arguments.json:
        print(json.dumps(rows, indent=2))
    return 0 if all(row["agrees_with_reference"] for row in rows) else FAILED


def info(arguments: Namespace) -> int:
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
        print(f"  on {', '.join(f'{key} {value}' for key, value in run['data'].items())}")
        print(f"next: {next_of(folder)}, or wavenet train --resume {quote(str(folder))} --minutes 10")
    return 0


def source_of(text: str, root: str | None) -> Source:
    """``torchaudio:NAME`` or a path."""
    if text.startswith("torchaudio:"):
        return torchaudio_sets.parse(text, root)
    return Recordings(path=str(Path(text).resolve()))  # so that a run can be resumed from anywhere
