"""``wavenet serve``: a page on this computer; have the model draw sound, and hear and see it while it grows.

A request is one line of JSON, the fields of ``Wish``, and behind it the content of a sound file, if one goes with it.
The answer is one line of JSON, ``{"given": g, "samples": n}``, and behind it ``g + n`` samples as they come, 16-bit
little-endian at 16 kHz: first what was given, the prompt or the recording to be copied, then what is drawn.
"""

from __future__ import annotations

import json
import tempfile
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from shared.cli import announcing
from shared.config import from_json
from shared.errors import InputError, shown
from shared.exchange import Handler, Parts
from shared.limits import SERVED_BYTES
from shared.serve import Limits, serve
from shared.training import machine
from wavenet import audio, wav
from wavenet.conditioning import Condition
from wavenet.data.conditions import read_frames
from wavenet.distributions import Drawing
from wavenet.limits import SERVED_RECORDING, SERVED_SECONDS
from wavenet.mel import Mel
from wavenet.model import WaveNet
from wavenet.sampler import stream
from wavenet.serve_page import page

DRAW = "draw"
PEEK = 0.02  # seconds that are drawn before the first visitor comes, so that everything is loaded


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the page asks for."""

    seconds: float = 3.0
    """Of new sound; at most so much of a recording is copied."""
    seed: int = 0
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    speaker: str = ""
    prompt_seconds: float = 1.0
    """How much of the beginning of a recording is continued."""

    def __post_init__(self):
        for name in ("seconds", "prompt_seconds"):
            if not 0.01 <= getattr(self, name) <= SERVED_SECONDS.most:
                raise ValueError(f"{name.replace('_', ' ')} lie between 0.01 and {SERVED_SECONDS.most:g}")
        if not 0 <= self.seed < 2**63:
            raise ValueError("a seed is a whole number from 0 up")

    @property
    def drawing(self) -> Drawing:
        """How values are drawn; ValueError for what cannot be."""
        return Drawing(temperature=self.temperature, top_k=self.top_k, top_p=self.top_p)


@dataclass(frozen=True, eq=False)
class Task:
    """What is drawn for a wish: ``given`` is what comes first, which is the ``prompt`` where there is one."""

    samples: int
    given: np.ndarray
    prompt: np.ndarray | None = None
    condition: Condition = Condition()


def drawer(model: WaveNet, *, precision: str = "float32") -> Handler:
    """What answers ``/draw``; InputError for a wish or a file that cannot be."""

    def draw(content: bytes) -> tuple[str, Parts]:
        line, _, file = content.partition(b"\n")
        try:
            wish = from_json(Wish, json.loads(line), "request.")
            drawing = wish.drawing
            model.config.output.check_drawing(drawing)
        except (ValueError, RecursionError) as error:
            raise InputError(f"request: {error}") from None
        task = _task(model, wish, file)
        blocks = stream(
            model, task.samples, seeds=[wish.seed], drawing=drawing, prompt=task.prompt, precision=precision,
            condition=task.condition,
        )  # fmt: skip
        first = next(blocks)  # what cannot be drawn is known before anything is said

        def grow() -> Parts:
            head = {"given": len(task.given), "samples": task.samples}
            yield json.dumps(head).encode() + b"\n" + _pcm(task.given)
            yield _pcm(first[0].numpy())
            for block in blocks:
                yield _pcm(block[0].numpy())

        return "application/octet-stream", grow()

    return draw


def run(arguments: Namespace) -> int:
    """``wavenet serve``: until Ctrl-C."""
    machine.use_threads(arguments.threads or 1)  # one clip is one thread's work
    model = WaveNet.from_pretrained(arguments.model, machine.device_named(arguments.device))
    _warm(model, arguments.precision)

    name = Path(arguments.model).resolve().name
    written = page(model.config, name, DRAW, SERVED_SECONDS.most, int(SERVED_BYTES.most))
    routes = {DRAW: drawer(model, precision=arguments.precision)}
    return serve(written, routes, port=arguments.port, limits=limits(), ready=announcing(arguments))


def limits() -> Limits:
    """One sound at a time, and a wish beside a file; who stops and starts anew need not be told to wait."""
    return Limits(body=int(SERVED_BYTES.most) + 2**16, jobs=1, waiting=1.0)


def _task(model: WaveNet, wish: Wish, file: bytes) -> Task:
    config, samples = model.config, round(wish.seconds * audio.RATE)
    if config.labels and wish.speaker not in config.labels.names:
        raise InputError(f"speaker: the model knows {', '.join(config.labels.names)}")
    label = torch.tensor([config.labels.index(wish.speaker)]) if config.labels else None
    silence = np.zeros(0, np.float32)
    if config.frames is None:
        prompt = wav.as_written(_sound(file, round(wish.prompt_seconds * audio.RATE))) if file else None
        return Task(samples, silence if prompt is None else prompt, prompt, Condition(label))
    if not file:
        what = "a recording to copy" if isinstance(config.frames, Mel) else "a .npy file of frames"
        raise InputError(f"the model needs {what}; drop one")
    frames = config.frames
    if file.startswith(b"\x93NUMPY"):
        found = torch.from_numpy(_frames(file, model).astype(np.float32))
        samples = min(samples, max(1, (found.shape[1] - 1) * frames.hop))
        return Task(samples, silence, condition=Condition(label, found[None]))
    if not isinstance(frames, Mel):
        raise InputError("recording: the model takes frames of its own kind, not sound; drop a .npy file")
    beyond = frames.n_fft + (frames.reach + 2) * frames.hop  # what the last samples are told reaches into it
    wave = _sound(file, samples + beyond)
    told = Condition(label, frames.of(torch.from_numpy(wave))[None])
    return Task(min(samples, len(wave)), wave[:samples], condition=told)


def _sound(content: bytes, samples: int) -> np.ndarray:
    """The beginning of a sound file; the gate reads files, so it lies in one for a moment."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording"
        path.write_bytes(content)
        try:
            return audio.read(path, 0, samples, longest=SERVED_RECORDING.most)
        except InputError as error:
            raise InputError(str(error).replace(shown(path), "recording")) from None


def _frames(content: bytes, model: WaveNet) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.npy"
        path.write_bytes(content)
        try:
            return np.array(read_frames(path, model.config.frames))
        except InputError as error:
            raise InputError(str(error).replace(shown(path), "frames")) from None


def _warm(model: WaveNet, precision: str) -> None:
    labels, frames = model.config.labels, model.config.frames
    told = Condition(
        torch.zeros(1, dtype=torch.int64) if labels else None, torch.zeros(1, frames.channels, 1) if frames else None
    )
    for _ in stream(model, round(PEEK * audio.RATE), seeds=[0], precision=precision, condition=told):
        pass


def _pcm(wave: np.ndarray) -> bytes:
    return wav.to_bytes(wave)[wav.HEADER :]
