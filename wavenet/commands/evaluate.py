"""``wavenet evaluate``: bits per sample on recordings; of a vocoder, how close its copies come. Yardsticks for both."""

from __future__ import annotations

import json
import logging
from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from shared.cli import seed_of
from shared.config import from_json
from shared.errors import InputError, refusal
from shared.training import checkpoint, machine
from shared.training.progress import ProgressLine
from wavenet.audio import RATE
from wavenet.choices import check_drawing, drawing_of
from wavenet.commands.train import source_of
from wavenet.copies import compare
from wavenet.copies.drawn import Copies, copies, makers, stretches
from wavenet.copies.kept import keep, targets
from wavenet.copies.table import Row, as_text, as_values, not_installed
from wavenet.data import Recordings
from wavenet.data.conditions import Conditions, labels_of, whole
from wavenet.data.tracks import seconds_of
from wavenet.evaluate import Bits, bits_by_group, pooled
from wavenet.mel import Mel
from wavenet.model import WaveNet
from wavenet.run import Run
from wavenet.telling import speakers_of
from wavenet.yardsticks import yardsticks

COPIES = 8  # files, unless --copies says otherwise


def run(arguments: Namespace) -> int:
    """Bits per sample on recordings, then a vocoder's copies; Ctrl-C between them leaves what is printed."""
    logging.getLogger("wavenet").setLevel(logging.ERROR if arguments.quiet else logging.WARNING)
    machine.keep_memory()
    machine.use_threads(arguments.threads)
    folder, seed = Path(arguments.model), seed_of(arguments)
    drawing = drawing_of(arguments)
    model = WaveNet.from_pretrained(folder, machine.device_named(arguments.device))
    number = _number_of_copies(arguments, model)
    check_drawing(model, drawing)
    values = checkpoint.load_config(folder)
    run = from_json(Run, values) if "data" in values else None
    features = _features(arguments, model, run)
    with ProgressLine("evaluating", arguments.quiet) as line:
        source = source_of(arguments.data, arguments.root)
        if run and isinstance(source, Recordings) and isinstance(run.data, Recordings):
            source = replace(run.data, path=source.path)  # trimmed and levelled as the run's own
        tracks = source.load(run.train.validation if run else 0.1, None)
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
        conditions = Conditions(model.config, labels, features)
        conditions.check(chosen)
        sounds = stretches(chosen, number)
        names = [Path(track.name).name for track in sounds]
        read, out = [whole(track)[0].name for track in everything], arguments.out
        places = targets(Path(out), names, makers(model.config), arguments.force, read) if out else None
        speakers = [labels.get(whole(track)[0].name, "") for track in chosen]
        by_speaker = bits_by_group(
            model, chosen, speakers, conditions=conditions, progress=lambda done, total: line.update(done / total)
        )
        result = pooled(by_speaker.values())
        measured = yardsticks(tracks.train or everything, chosen, model.config.output)
    summary = {
        "model": str(arguments.model),
        "data": str(arguments.data),
        "part": part,
        "files": len(chosen),
        "seconds": round(seconds_of(chosen), 2),
        "scale": model.config.output.scale,
        **_values(result),
        "yardsticks": {name: round(value, 4) for name, value in asdict(measured).items()},
    }
    if model.config.labels:
        summary["speakers"] = {name: _values(bits) for name, bits in by_speaker.items()}
    if not arguments.json:
        print(
            f"{result.bits:.3f} bits per sample over {len(chosen)} files, {seconds_of(chosen):.0f} s ({part}); "
            f"order-0 entropy {measured.order_0:.3f}, linear predictor {measured.linear_32:.3f}; "
            f"all of {model.config.output.scale}\n"
            f"to compare with any model: {result.bits_16:.3f} of 16-bit samples, {result.bits_mu_law:.3f} of mu-law "
            "codes of 256",
            flush=True,
        )
        if model.config.labels:
            print(_speaker_table(by_speaker), flush=True)
    if sounds:
        with ProgressLine("copying", arguments.quiet) as line:
            drawn = copies(model, sounds, conditions, seed, line.update, drawing=drawing, precision=arguments.precision)
            rows = _measured(drawn, places or [{}] * len(sounds))
        if arguments.json:
            settings = {"seed": seed, **asdict(drawing), "precision": arguments.precision}
            summary["copies"] = {"seconds": round(seconds_of(sounds), 2), **settings, **as_values(rows, names)}
        else:
            files = "1 file" if len(sounds) == 1 else f"{len(sounds)} files"
            print(f"\ncopies of {files}, {seconds_of(sounds):.1f} s:\n{as_text(rows)}")
            if remark := not_installed():
                print(remark)
    if arguments.json:
        print(json.dumps(summary, indent=2))
    return 0


def _number_of_copies(arguments: Namespace, model: WaveNet) -> int:
    number = arguments.copies if arguments.copies is not None else COPIES if model.config.frames else 0
    if number and not model.config.frames:
        raise InputError(f"--copies {number}: {arguments.model} takes no frames, so it copies nothing; leave it out")
    for flag in () if number else ("out", "temperature", "greedy", "top_k", "top_p", "precision", "seed"):
        value = getattr(arguments, flag)
        if value != arguments.parser.get_default(flag):
            given = "-o" if flag == "out" else f"--{flag.replace('_', '-')}"
            given = given if value is True else f"{given} {value}"
            raise InputError(f"{given}: is for a vocoder's copies, and none are made; leave it out")
    return number


def _features(arguments: Namespace, model: WaveNet, run: Run | None) -> str:
    """The folder of features, ``--features`` or the run's; empty for a model that takes none."""
    if model.config.frames is None or isinstance(model.config.frames, Mel):
        if arguments.features:
            raise InputError(f"--features: {arguments.model} takes no features from files; leave it out")
        return ""
    folder = arguments.features or (run.features if run else "")
    if not folder:
        raise InputError(f"{arguments.model}: takes features from files; say where those of DATA lie by --features DIR")
    if not Path(folder).is_dir():
        raise refusal(Path(folder), "no such folder", "say where the features of DATA lie by --features DIR")
    return folder


def _values(bits: Bits) -> dict[str, float]:
    return {
        "samples": bits.samples,
        "bits_per_sample": round(bits.bits, 4),
        "bits_16": round(bits.bits_16, 4),
        "bits_mu_law": round(bits.bits_mu_law, 4),
    }


def _speaker_table(bits: dict[str, Bits]) -> str:
    width = max(map(len, bits))
    return "\n".join(
        f"  {name:{width}}  {each.bits:.3f} bits per sample over {each.samples / RATE:.0f} s"
        for name, each in bits.items()
    )


def _measured(drawn: Iterable[Copies], places: Sequence[dict[str, Path]]) -> list[Row]:
    """Every maker's figures; the sounds themselves are kept at ``places``, if there are any."""
    found: dict[str, list[dict[str, float | None]]] = {}
    for each, there in zip(drawn, places, strict=True):
        keep(each, there)
        recording, *made = each.sounds.items()
        for maker, wave in made:
            found.setdefault(maker, []).append(compare(recording[1], wave))
    return [Row(maker, tuple(figures)) for maker, figures in found.items()]
