"""``wavenet generate``: clips written to WAV files as they grow, valid at every instant."""

from __future__ import annotations

import itertools
import shlex
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from torch import Tensor

from shared.cli import INTERRUPTED
from shared.errors import InputError
from shared.files import numbered
from shared.folders import made
from shared.training import machine
from shared.training.interruption import Interruption
from shared.training.progress import ProgressLine, clock
from wavenet import audio
from wavenet.choices import check_drawing, drawing_of, speakers_among
from wavenet.distributions import Drawing
from wavenet.model import WaveNet
from wavenet.note import Note, beside, weights_of
from wavenet.sampler import stream
from wavenet.sampler.batch import condition_of
from wavenet.wav import WavWriter, as_written

MOST_CLIPS = 512  # files open at once
LONGEST = 100_000  # seconds, with room for a prompt: a WAV counts its bytes in 32 bits


def write_clips(arguments: Namespace, seed: int) -> int:
    """Generate ``--number`` clips from ``--seed`` on; the prompt, if any, stands before each."""
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
    model = WaveNet.from_pretrained(arguments.model, machine.device_named(arguments.device))
    if model.config.frames is not None:
        raise InputError(f"{arguments.model}: is a vocoder; give it a recording: wavenet vocode")
    check_drawing(model, drawing)
    speakers = speakers_among(model, arguments.speaker)
    names = [speakers[at % len(speakers)] for at in range(len(seeds))] if speakers else [None] * len(seeds)
    prompt = _prompt(arguments)
    blocks = stream(
        model,
        samples,
        seeds=seeds,
        drawing=drawing,
        prompt=prompt,
        engine=arguments.engine,
        precision=arguments.precision,
        condition=condition_of(model, names if speakers else None),
    )
    blocks = itertools.chain([next(blocks)], blocks)  # what cannot be drawn is known before anything is written
    for target, number, name in zip(targets, seeds, names, strict=True):
        if isinstance(target, Path):
            _note(arguments, drawing, number, samples, prompt, name).write(target)

    with ExitStack() as stack:
        files = [stack.enter_context(WavWriter(target, overwrite=arguments.force)) for target in targets]
        for file in files if prompt is not None else ():
            file.write(prompt)
        written = write_blocks(blocks, files, samples, arguments.quiet)
    for target in targets:
        if isinstance(target, Path):
            print(target)
    clipped = sum(file.clipped for file in files)
    if clipped:
        print(f"{clipped} samples lay beyond full scale and were clipped", file=sys.stderr)
    if written.interrupted:
        made = written.samples / audio.RATE
        print(f"stopped after {made:.2f} s; what was written is whole and can be played", file=sys.stderr)
        paths = [target for target in targets if isinstance(target, Path)]
        if paths:
            print(how_to_go_on("generate", paths), file=sys.stderr)
        return INTERRUPTED
    if not arguments.quiet:
        speed = arguments.number * written.real_time_factor
        print(f"seed {', '.join(map(str, seeds))} · {speed:.2f} × real time in all", file=sys.stderr)
    return 0


def how_to_go_on(command: str, paths: Sequence[Path]) -> str:
    """The command that finishes clips that were stopped."""
    return f"go on: wavenet {command} --resume {' '.join(shlex.quote(str(path)) for path in paths)}"


class Written(NamedTuple):
    """What ``write_blocks`` did: samples of each clip, speed of each clip, and whether it was stopped."""

    samples: int
    real_time_factor: float
    interrupted: bool


def write_blocks(
    blocks: Iterator[Tensor],
    files: Sequence[WavWriter],
    samples: int,
    quiet: bool,
    lengths: Sequence[int] | None = None,
) -> Written:
    """Append blocks ``[b, n]`` to ``b`` files as they come, with a progress bar; Ctrl-C ends it between blocks.

    With ``lengths``, each file takes no more samples than its own.
    """
    begun, done, factor = time.perf_counter(), 0, 0.0
    with Interruption() as interruption, ProgressLine("generating", quiet) as line:
        for block in blocks:
            for at, (file, wave) in enumerate(zip(files, block.numpy(), strict=True)):
                file.write(wave if lengths is None else wave[: max(0, lengths[at] - done)])
            done += block.shape[1]
            factor = done / (time.perf_counter() - begun) / audio.RATE
            left = clock((samples - done) / audio.RATE / factor)
            line.update(done / samples, f"{done / audio.RATE:.1f} s · {factor:.3f} × real time · {left} left")
            if interruption.requested:
                break
    return Written(done, factor, interruption.requested and done < samples)


def _targets(arguments: Namespace, seeds: list[int]) -> list[Path | BinaryIO]:
    name = Path(arguments.model).resolve().name
    if arguments.out == "-":
        if len(seeds) > 1:
            raise InputError("-o - takes one clip; leave out -n, or give a folder")
        if sys.stdout.isatty():
            raise InputError("-o -: stdout is a terminal, sound would garble it; pipe it: -o - | aplay")
        return [sys.stdout.buffer]
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


def _prompt(arguments: Namespace) -> np.ndarray | None:
    if not arguments.prompt:
        if arguments.prompt_seconds:
            raise InputError("--prompt-seconds says how much of --prompt to use; give --prompt FILE as well")
        return None
    samples = round(arguments.prompt_seconds * audio.RATE) if arguments.prompt_seconds else None
    return as_written(audio.read(arguments.prompt, 0, samples))


def _note(
    arguments: Namespace, drawing: Drawing, seed: int, samples: int, prompt: np.ndarray | None, speaker: str | None
) -> Note:
    return Note(
        model=str(Path(arguments.model).resolve()),
        weights=weights_of(Path(arguments.model)),
        seed=seed,
        seconds=samples / audio.RATE,
        temperature=drawing.temperature,
        top_k=drawing.top_k,
        top_p=drawing.top_p,
        precision=arguments.precision,
        engine=arguments.engine,
        prompt=arguments.prompt,
        prompt_seconds=arguments.prompt_seconds,
        prompt_samples=0 if prompt is None else len(prompt),
        speaker=speaker,
    )
