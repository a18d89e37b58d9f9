"""``wavenet vocode``: mel spectrograms, of recordings or stored ones, to sound; a few files at a time."""

from __future__ import annotations

import itertools
import logging
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from shared.cli import INTERRUPTED, seed_of
from shared.errors import InputError, refusal
from shared.folders import is_folder, walk
from shared.training import machine
from wavenet import audio
from wavenet.conditioning import Condition, Frames
from wavenet.data.conditions import read_frames
from wavenet.data.folder import ENDINGS
from wavenet.mel import Mel
from wavenet.model import WaveNet
from wavenet.sampler import stream
from wavenet.wav import WavWriter
from wavenet.writing import check_temperature, speakers_among, write_blocks

AT_ONCE = 8  # files drawn together: a weight that is read serves all of them


@dataclass(frozen=True, eq=False)
class Told:
    """One input: its ``frames [channels, f]`` and how many samples they stand for."""

    path: Path
    frames: Tensor
    samples: int


def run(arguments: Namespace) -> int:
    """Make a WAV of every input; each takes the next seed, whatever it is drawn together with."""
    logging.getLogger("wavenet").setLevel(logging.ERROR if arguments.quiet else logging.WARNING)
    machine.use_threads(arguments.threads)
    seed = seed_of(arguments)
    model = WaveNet.from_pretrained(arguments.model, machine.device_named(arguments.device))
    mel = model.config.frames
    if mel is None:
        raise InputError(f"{arguments.model}: takes no frames; train a vocoder with `wavenet train DATA --mel`")
    check_temperature(arguments.temperature)
    speakers = speakers_among(model, arguments.speaker)
    inputs = list(_inputs(arguments.inputs, frozenset({".npy"}) if not isinstance(mel, Mel) else ENDINGS | {".npy"}))
    if not isinstance(mel, Mel) and any(path.suffix.lower() != ".npy" for path in inputs):
        raise InputError(f"{arguments.model}: takes frames of its own kind, not sound; give .npy files")
    targets = _targets(Path(arguments.out), arguments.out.endswith("/"), inputs, arguments.force)
    for path in inputs:  # all of them, before anything is made
        _ = read_frames(path, mel) if path.suffix.lower() == ".npy" else audio.check(path)
    for at in range(0, len(inputs), AT_ONCE):
        told = [frames_of(path, mel) for path in inputs[at : at + AT_ONCE]]
        numbers = range(at, at + len(told))
        names = [speakers[number % len(speakers)] for number in numbers] if speakers else []
        condition = together(told, [model.config.labels.index(name) for name in names])
        longest = max(each.samples for each in told)
        blocks = stream(
            model,
            longest,
            seeds=[seed + number for number in numbers],
            temperature=arguments.temperature,
            engine=arguments.engine,
            precision=arguments.precision,
            condition=condition,
        )
        blocks = itertools.chain([next(blocks)], blocks)  # what cannot be drawn is known before anything is written
        with ExitStack() as stack:
            files = [stack.enter_context(WavWriter(targets[number], overwrite=arguments.force)) for number in numbers]
            written = write_blocks(blocks, files, longest, arguments.quiet, [each.samples for each in told])
        for number in numbers:
            print(targets[number])
        if written.interrupted:
            left = " ".join(shlex.quote(str(path)) for path in inputs[at:])
            print("stopped; what was written is whole and can be played", file=sys.stderr)
            print(
                f"go on: wavenet vocode {shlex.quote(arguments.model)} {left} -o {shlex.quote(arguments.out)} "
                f"--seed {seed + at} --force",
                file=sys.stderr,
            )
            return INTERRUPTED
    return 0


def frames_of(path: Path, mel: Frames) -> Told:
    """The frames of a recording, or those of a .npy file."""
    if path.suffix.lower() == ".npy":
        frames = torch.from_numpy(read_frames(path, mel).astype("float32"))
        return Told(path, frames, max(1, (frames.shape[1] - 1) * mel.hop))
    wave = torch.from_numpy(audio.read(path))
    return Told(path, mel.of(wave), len(wave))


def together(told: Sequence[Told], labels: Sequence[int]) -> Condition:
    """One condition for inputs of different lengths; the last frame of the shorter ones goes on."""
    longest = max(each.frames.shape[1] for each in told)
    frames = [each.frames[:, torch.arange(longest).clamp(max=each.frames.shape[1] - 1)] for each in told]
    return Condition(torch.tensor(labels) if labels else None, torch.stack(frames))


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
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); choose another place") from None
    for target, path in zip(targets, inputs, strict=True):
        if target.exists() and target.resolve() == path.resolve():
            raise InputError(f"{target}: is the input itself; choose another place")
        if target.exists() and not force:
            raise InputError(f"{target}: exists already; choose another name or pass --force")
    return targets
