"""Clips that grow in files, several drawn together: begun by ``generate`` and ``vocode``, gone on with by ``--resume``.

What is in a file and in the note beside it is all the state there is. With the engine ``compiled`` a clip that was
stopped becomes, byte for byte, what one call would have made, whatever it is drawn together with; ``cached``
multiplies matrices by torch, whose last bits depend on how many clips there are.
"""

from __future__ import annotations

import itertools
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shared.cli import INTERRUPTED
from shared.errors import InputError, refusal, shown
from shared.files import sweep
from shared.training import machine
from wavenet import audio
from wavenet.conditioning import Condition, Frames
from wavenet.data.conditions import read_frames
from wavenet.finishing import finish, is_finished
from wavenet.model import WaveNet
from wavenet.note import Note, fingerprint, weights_of
from wavenet.sampler import stream
from wavenet.sampler.batch import condition_of
from wavenet.wav import WavWriter, as_written, check_free, reopened
from wavenet.writing import Written, how_to_go_on, write_blocks

SILENCE = np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False)
class Growing:
    """A clip in a file, or one that is about to be begun there."""

    path: Path
    note: Note
    model: WaveNet
    engine: str
    drawn: int = 0
    """Samples behind the prompt that the file holds."""
    prompt: np.ndarray = field(default_factory=lambda: SILENCE)
    """Of a clip that waits: what its file is to begin with, as a reader of the file will get it back."""

    @property
    def left(self) -> int:
        """Samples that it still lacks."""
        return round(self.note.seconds * audio.RATE) - self.drawn

    @property
    def kind(self) -> tuple[object, ...]:
        """Clips of one kind can be drawn together."""
        note = self.note
        return id(self.model), note.drawing, note.precision, self.engine, note.prompt_samples, self.drawn

    def heard(self) -> np.ndarray:
        """What stands before its new sound: the prompt, and what was drawn already."""
        return self.prompt if self.note.waiting else _wave(self.path)

    def begin(self, overwrite: bool) -> None:
        """Make the file. Only then may the note say so: while it waits it belongs to no sound, or to an older one."""
        with WavWriter(self.path, overwrite=overwrite) as file:
            file.write(self.prompt)
        replace(self.note, waiting=False).write(self.path)

    def finish(self) -> None:
        """Do what remains to be done when all is drawn."""
        if not is_finished(self.path, self.note):
            mel = self.model.config.frames
            finish(self.path, self.note, frames_of(Path(self.note.input), mel), mel)


def groups(clips: Iterable[Growing], most: int) -> list[list[Growing]]:
    """The clips in groups that can be drawn together, in the order of their first ones."""
    alike: dict[tuple[object, ...], list[Growing]] = {}
    for clip in clips:
        alike.setdefault(clip.kind, []).append(clip)
    return [each[at : at + most] for each in alike.values() for at in range(0, len(each), most)]


def drawn_on(group: Sequence[Growing]) -> Iterator[Tensor]:
    """Blocks ``[b, n]`` of new sound; what cannot be drawn is known on return, before anything is written."""
    first = group[0]
    given = first.note.prompt_samples
    waves = np.stack([clip.heard() for clip in group])
    blocks = stream(
        first.model,
        max(clip.left for clip in group),
        seeds=[clip.note.seed for clip in group],
        drawing=first.note.drawing,
        prompt=waves[:, :given] if given else None,
        engine=first.engine,
        precision=first.note.precision,
        drawn=waves[:, given:],
        condition=told(group),
    )
    return itertools.chain([next(blocks)], blocks)


def write_on(group: Sequence[Growing], blocks: Iterator[Tensor], quiet: bool) -> Written:
    """Append the blocks to the files, to each as much as it lacks."""
    lengths = [clip.left for clip in group]
    with ExitStack() as stack:
        files = [stack.enter_context(reopened(clip.path)[0]) for clip in group]
        return write_blocks(blocks, files, max(lengths), quiet, lengths)


def draw(waiting: Sequence[Sequence[Growing]], command: str, *, overwrite: bool, quiet: bool) -> int:
    """Draw group after group, and return the exit code.

    As soon as the first can be drawn all clips have their notes, so that ``--resume`` covers those not begun as well;
    the file of one that waits is begun, over an older sound with ``overwrite``, only when its group is drawn.
    """
    for at, group in enumerate(waiting):
        left = [clip.path for each in waiting[at:] for clip in each]
        with _saying_how_to_go_on(command, left if at else []):
            blocks = drawn_on(group)
            if at == 0:
                everyone = [clip for each in waiting for clip in each]
                for clip in everyone:  # a note of ours must not come to lie beside somebody's sound
                    check_free(clip.path)
                for clip in everyone:
                    clip.note.write(clip.path)
        with _saying_how_to_go_on(command, left):
            for clip in (clip for clip in group if clip.note.waiting):
                clip.begin(overwrite)
            written = write_on(group, blocks, quiet)
            for clip in group if not written.interrupted else ():
                clip.finish()
        for clip in group:
            print(shown(clip.path))
        tell(group, written, quiet)
        if written.interrupted:
            whole = "stopped; what was written is whole and can be played"
            print(f"{whole}; {how_to_go_on(command, left)}", file=sys.stderr)
            return INTERRUPTED
    return 0


def tell(group: Sequence[Growing], written: Written, quiet: bool) -> None:
    """Say on stderr how clips were drawn, and what of them was clipped."""
    if written.clipped:
        print(f"{written.clipped} samples lay beyond full scale and were clipped", file=sys.stderr)
    if not quiet and not written.interrupted:
        seeds = ", ".join(str(clip.note.seed) for clip in group)
        print(f"seed {seeds} · {len(group) * written.real_time_factor:.2f} × real time in all", file=sys.stderr)


@contextmanager
def _saying_how_to_go_on(command: str, left: Sequence[Path]) -> Iterator[None]:
    """An error tells how to go on with the files that are ``left``, if there are any."""
    try:
        yield
    except InputError as error:
        if not left:
            raise
        raise InputError(f"{error}; {how_to_go_on(command, left)}") from error
    except BaseException:
        if left:
            print(how_to_go_on(command, left), file=sys.stderr)
        raise


def told(group: Sequence[Growing]) -> Condition:
    """What the clips' model is told of each."""
    config, notes = group[0].model.config, [clip.note for clip in group]
    speakers = [note.speaker for note in notes] if config.labels else None
    frames = [frames_of(Path(note.input), config.frames) for note in notes] if config.frames else None
    return condition_of(group[0].model, speakers, frames)


def frames_of(path: Path, frames: Frames) -> Tensor:
    """The frames ``[channels, f]`` of a recording, or those of a .npy file."""
    if path.suffix.lower() == ".npy":
        return torch.from_numpy(read_frames(path, frames).astype("float32"))
    return frames.of(torch.from_numpy(audio.read(path)))


def check_resumed_alone(arguments: Namespace, *more: str) -> None:
    """InputError where a flag beside ``--resume`` would change what the clip is."""
    beside = ("command", "parser", "argv", "model", "resume", "engine", "device", "threads", "quiet", "debug", *more)
    changed = [
        name for name, value in vars(arguments).items()
        if name not in beside and value not in (None, []) and value != arguments.parser.get_default(name)
    ]  # fmt: skip
    if changed:
        allowed = ", ".join(["RUN", "--engine", *(f"--{name}" for name in more)])
        raise InputError(f"--resume takes everything from the note beside the clip; only {allowed} go with it")


def resume(arguments: Namespace, most: int) -> int:
    """Go on with the clips named by ``--resume``, up to ``most`` of a kind together; all are looked at first."""
    models: dict[Path, WaveNet] = {}
    paths = dict.fromkeys(path.removesuffix(".json") for path in arguments.resume)  # a note stands for its clip
    clips = [_resumed(Path(path), arguments, models) for path in paths]
    for clip in clips:
        if clip.left <= 0:
            with _saying_how_to_go_on(arguments.command, [clip.path]):
                clip.finish()
            more = "; --seconds asks for more" if arguments.command == "generate" else ""
            print(f"{shown(clip.path)} is complete: {clip.drawn / audio.RATE:g} s{more}", file=sys.stderr)
    unfinished = groups((clip for clip in clips if clip.left > 0), most)
    return draw(unfinished, arguments.command, overwrite=True, quiet=arguments.quiet)


def _resumed(path: Path, arguments: Namespace, models: dict[Path, WaveNet]) -> Growing:
    """The clip as it was left; InputError where it cannot be gone on with."""
    if path.is_dir():
        way = f"a model stands before the flag: wavenet {arguments.command} {shlex.quote(str(path))} --resume WAV"
        raise refusal(path, "is a folder, not a clip", way)
    note = Note.of(path)
    if note.command != arguments.command:
        raise refusal(path, f"was made by wavenet {note.command}", how_to_go_on(note.command, [path]))
    folder = Path(arguments.model or note.model)
    if folder not in models:
        models[folder] = WaveNet.from_pretrained(folder, machine.device_named(arguments.device))
    model = models[folder]
    if weights_of(folder) != note.weights:
        advice = "vocode again" if note.input else f"continue it as a new clip with --prompt {path}"
        raise refusal(path, f"was made by another model than {folder} holds now", f"name the right one, or {advice}")
    levels = model.config.output.quantise(torch.linspace(-1, 1, 100_000))
    if not torch.equal(model.config.output.quantise(torch.from_numpy(as_written(levels.numpy()))), levels):
        raise refusal(path, "the model's levels are finer than the 16 bits of a WAV", "make it again")
    if note.input and not _is_as_it_was(Path(note.input), note.input_fingerprint):
        raise refusal(path, f"its input {note.input} has changed or gone", "bring it back, or vocode again")
    sweep(path.parent, path.name)
    note = replace(note, waiting=note.waiting or not path.exists())
    prompt = _prompt_again(path, note) if note.waiting and note.prompt else SILENCE
    drawn = 0 if note.waiting else len(_wave(path)) - note.prompt_samples
    if note.prompt_samples < 0 or drawn < 0:
        raise refusal(path, "ends within its prompt, so nothing was drawn yet", "generate it again")
    if arguments.command == "generate" and arguments.seconds:
        note = replace(note, seconds=max(round(arguments.seconds * audio.RATE), drawn) / audio.RATE)
    engine = note.engine if arguments.engine == "auto" else arguments.engine
    return Growing(path, note, model, engine, drawn, prompt)


def prompt_of(recording: str, samples: int | None) -> np.ndarray:
    """The beginning of a recording, as a file that begins with it will hold it."""
    return as_written(audio.read(recording, 0, samples))


def _prompt_again(path: Path, note: Note) -> np.ndarray:
    """Of a clip that was never begun."""
    if not _is_as_it_was(Path(note.prompt), note.prompt_fingerprint):
        raise refusal(path, f"its prompt {note.prompt} has changed or gone", "bring it back, or generate again")
    return prompt_of(note.prompt, note.prompt_samples)


def _is_as_it_was(path: Path, mark: str | None) -> bool:
    try:
        return fingerprint(path) == mark
    except OSError:
        return False


def _wave(path: Path) -> np.ndarray:
    file, wave = reopened(path)
    file.close()
    return wave
