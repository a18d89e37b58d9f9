"""``wavenet generate``: WAV files from a trained model, written as they grow."""

from __future__ import annotations

import logging
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np

from shared.cli import INTERRUPTED, seed_of
from shared.errors import InputError
from shared.files import numbered
from shared.folders import made
from shared.training import machine
from wavenet import audio
from wavenet.choices import check_drawing, drawing_of, speakers_among
from wavenet.growing import SILENCE, Growing, check_resumed_alone, draw, drawn_on, prompt_of, resume, tell
from wavenet.model import WaveNet
from wavenet.note import Note, beside, fingerprint, weights_of
from wavenet.wav import WavWriter
from wavenet.writing import write_blocks

DEFAULT_SECONDS = 3.0  # of a clip
MOST_CLIPS = 512  # files open at once
LONGEST = 100_000  # seconds, with room for a prompt: a WAV counts its bytes in 32 bits


def run(arguments: Namespace) -> int:
    """Write clips as they grow."""
    logging.getLogger("wavenet").setLevel(logging.ERROR if arguments.quiet else logging.WARNING)
    if arguments.resume:
        check_resumed_alone(arguments, "seconds")
        machine.use_threads(arguments.threads or (1 if len(arguments.resume) == 1 else None))
        return resume(arguments, MOST_CLIPS)
    if not arguments.model:
        raise InputError("generate from what? give a run folder, or --resume CLIP.wav")
    arguments.seconds = arguments.seconds or DEFAULT_SECONDS
    machine.use_threads(arguments.threads or (1 if arguments.number == 1 else None))  # one clip is one thread's work
    clips = _clips(arguments, seed_of(arguments))
    if arguments.out == "-":
        return _to_stdout(clips[0], arguments.quiet)
    return draw([clips], arguments.command, overwrite=arguments.force, quiet=arguments.quiet)


def _clips(arguments: Namespace, seed: int) -> list[Growing]:
    """``--number`` clips, of the seeds from ``seed`` on; the prompt, if any, stands before each."""
    drawing = drawing_of(arguments)
    if arguments.number > MOST_CLIPS:
        raise InputError(f"-n {arguments.number}: at most {MOST_CLIPS} clips at once; call again with another --seed")
    if arguments.seconds > LONGEST:
        raise InputError(f"--seconds {arguments.seconds:g}: a WAV holds at most {LONGEST:,} s; ask for less")
    samples = round(arguments.seconds * audio.RATE)
    if samples < 1:
        raise InputError(f"--seconds {arguments.seconds}: less than one sample")
    seeds = [seed + at for at in range(arguments.number)]
    targets = _targets(arguments, seeds)
    folder = Path(arguments.model)
    model = WaveNet.from_pretrained(folder, machine.device_named(arguments.device))
    if model.config.frames is not None:
        raise InputError(f"{folder}: is a vocoder; give it a recording: wavenet vocode")
    check_drawing(model, drawing)
    speakers = speakers_among(model, arguments.speaker)
    prompt, weights = _prompt(arguments), weights_of(folder)
    recording = Path(arguments.prompt).resolve() if arguments.prompt else None
    mark = fingerprint(recording) if recording else None
    clips = []
    for at, (number, target) in enumerate(zip(seeds, targets, strict=True)):
        note = Note(
            model=str(folder.resolve()),
            weights=weights,
            seed=number,
            seconds=samples / audio.RATE,
            temperature=drawing.temperature,
            top_k=drawing.top_k,
            top_p=drawing.top_p,
            precision=arguments.precision,
            engine=arguments.engine,
            prompt=str(recording) if recording else None,
            prompt_seconds=arguments.prompt_seconds,
            prompt_samples=len(prompt),
            prompt_fingerprint=mark,
            speaker=speakers[at % len(speakers)] if speakers else None,
            waiting=True,
        )
        clips.append(Growing(target, note, model, arguments.engine, prompt=prompt))
    return clips


def _to_stdout(clip: Growing, quiet: bool) -> int:
    blocks = drawn_on([clip])
    file = WavWriter(sys.stdout.buffer)
    file.write(clip.prompt)
    written = write_blocks(blocks, [file], clip.left, quiet)
    tell([clip], written, quiet)
    if written.interrupted:
        print(f"stopped after {written.samples / audio.RATE:.2f} s", file=sys.stderr)
        return INTERRUPTED
    return 0


def _targets(arguments: Namespace, seeds: list[int]) -> list[Path]:
    name = Path(arguments.model).resolve().name
    if arguments.out == "-":
        if len(seeds) > 1:
            raise InputError("-o - takes one clip; leave out -n, or give a folder")
        if sys.stdout.isatty():
            raise InputError("-o -: stdout is a terminal, sound would garble it; pipe it: -o - | aplay")
        return [Path("-")]
    if arguments.out is None:
        chosen = []
        for number in seeds:
            target = numbered(Path(f"{name}-seed{number}.wav"))
            while beside(target).exists() or target.exists():  # a note may have outlived its sound
                target = numbered(target.with_name(f"{target.stem}-2.wav"))
            chosen.append(target)
        return chosen
    out = Path(arguments.out)
    into_folder = len(seeds) > 1 or arguments.out.endswith("/") or out.is_dir() or out.suffix == ""
    if into_folder and out.suffix.lower() == ".wav" and not out.is_dir():
        raise InputError(f"-o {out}: {len(seeds)} clips need a folder, such as -o out/")
    if not into_folder and out.suffix.lower() not in (".wav", ".wave"):
        raise InputError(f"-o {out}: sound is written as WAV; name it {out.with_suffix('.wav')}")
    folder = out if into_folder else out.parent
    made(folder)
    targets = [out / f"{name}-seed{number}.wav" for number in seeds] if into_folder else [out]
    for target in targets:  # before any work is done
        for path in (target, beside(target)):
            if path.exists() and not arguments.force:
                raise InputError(f"{path}: exists already; choose another name or pass --force")
    return targets


def _prompt(arguments: Namespace) -> np.ndarray:
    if arguments.prompt:
        samples = round(arguments.prompt_seconds * audio.RATE) if arguments.prompt_seconds else None
        return prompt_of(arguments.prompt, samples)
    if arguments.prompt_seconds:
        raise InputError("--prompt-seconds says how much of --prompt to use; give --prompt FILE as well")
    return SILENCE
