"""``wavenet vocode``: mel spectrograms, of recordings or stored ones, to sound; a few files at a time."""

from __future__ import annotations

import logging
import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from shared.cli import seed_of
from shared.errors import InputError, refusal
from shared.folders import is_folder, made, walk
from shared.training import machine
from wavenet import audio
from wavenet.choices import check_drawing, drawing_of, speakers_among
from wavenet.conditioning import Frames
from wavenet.data.conditions import read_frames
from wavenet.data.folder import ENDINGS
from wavenet.growing import Growing, check_resumed_alone, draw, groups, resume
from wavenet.mel import Mel
from wavenet.mel_fitting import fits
from wavenet.model import WaveNet
from wavenet.note import Note, beside, fingerprint, weights_of
from wavenet.sampler import AT_ONCE


def run(arguments: Namespace) -> int:
    """Make a WAV of every input, or go on with those that were stopped."""
    logging.getLogger("wavenet").setLevel(logging.ERROR if arguments.quiet else logging.WARNING)
    machine.use_threads(arguments.threads)
    if arguments.resume:
        check_resumed_alone(arguments)
        return resume(arguments, AT_ONCE)
    waiting = groups(_clips(arguments), AT_ONCE)
    return draw(waiting, arguments.command, overwrite=arguments.force, quiet=arguments.quiet)


def _clips(arguments: Namespace) -> list[Growing]:
    """What is to be made; all inputs are looked at. Each takes the next seed, whatever it is drawn together with."""
    seed, drawing = seed_of(arguments), drawing_of(arguments)
    folder = Path(arguments.model)
    model = WaveNet.from_pretrained(folder, machine.device_named(arguments.device))
    mel = model.config.frames
    if mel is None:
        raise InputError(f"{folder}: takes no frames; train a vocoder with `wavenet train DATA --mel`")
    check_drawing(model, drawing)
    speakers = speakers_among(model, arguments.speaker)
    inputs = list(_inputs(arguments.inputs, frozenset({".npy"}) if not isinstance(mel, Mel) else ENDINGS | {".npy"}))
    if not isinstance(mel, Mel) and any(path.suffix.lower() != ".npy" for path in inputs):
        raise InputError(f"{folder}: takes frames of its own kind, not sound; give .npy files")
    targets = _targets(Path(arguments.out), arguments.out.endswith("/"), inputs, arguments.force)
    weights = weights_of(folder)
    clips = []
    for number, (path, target) in enumerate(zip(inputs, targets, strict=True)):
        note = Note(
            model=str(folder.resolve()),
            weights=weights,
            seed=seed + number,
            seconds=_samples(path, mel) / audio.RATE,
            temperature=drawing.temperature,
            top_k=drawing.top_k,
            top_p=drawing.top_p,
            precision=arguments.precision,
            engine=arguments.engine,
            speaker=speakers[number % len(speakers)] if speakers else None,
            input=str(path.resolve()),
            input_fingerprint=fingerprint(path),
            fits=isinstance(mel, Mel) and fits(mel) and not arguments.as_drawn,
            waiting=True,
        )
        clips.append(Growing(target, note, model, arguments.engine))
    return clips


def _samples(path: Path, frames: Frames) -> int:
    """How many samples an input stands for."""
    if path.suffix.lower() == ".npy":
        return max(1, (read_frames(path, frames).shape[1] - 1) * frames.hop)
    return audio.check(path).samples


def _inputs(given: Sequence[str], endings: frozenset[str]) -> Iterator[Path]:
    for each in map(Path, given):
        if not is_folder(each):
            yield each
            continue
        shut: list[str] = []
        found = sorted(walk(each, endings, shut))
        if not found:
            raise (
                InputError(shut[0]) if shut else refusal(each, "holds nothing to make sound of", "give another folder")
            )
        yield from found


def _targets(out: Path, is_named_folder: bool, inputs: Sequence[Path], force: bool) -> list[Path]:
    if len(inputs) == 1 and not is_named_folder and not out.is_dir():
        if out.suffix.lower() not in (".wav", ".wave"):
            raise InputError(f"-o {out}: sound is written as WAV; name it {out.with_suffix('.wav')}, or a folder/")
        folder, targets = out.parent, [out]
    else:
        if out.suffix.lower() in (".wav", ".wave") and not out.is_dir():
            raise InputError(f"-o {out}: {len(inputs)} sounds need a folder, such as -o out/")
        folder, targets = out, [out / f"{path.stem}.wav" for path in inputs]
        twice = [path for path in targets if targets.count(path) > 1]
        if twice:
            raise InputError(f"{twice[0]}: two inputs would be written there; give them apart")
    made(folder)
    read = {os.path.realpath(path) for path in inputs}
    for target in targets:
        if os.path.realpath(target) in read:
            raise refusal(target, "is one of the inputs", "choose another place")
        for there in (target, beside(target)):
            if there.exists() and not force:
                raise InputError(f"{there}: exists already; choose another name or pass --force")
    return targets
