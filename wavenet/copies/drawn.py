"""A model's copies of recordings that it has not seen, and the yardsticks' copies of the same ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wavenet import wav
from wavenet.audio import RATE
from wavenet.copies.griffin_lim import griffin_lim
from wavenet.data.conditions import Conditions
from wavenet.data.tracks import Part, Track
from wavenet.distributions import Categorical
from wavenet.mel import Mel
from wavenet.mel_fitting import fitted
from wavenet.model import WaveNet, WaveNetConfig
from wavenet.sampler import AT_ONCE, stream

AS_DRAWN, ROUND_TRIP = "model, as drawn", "mu-law round trip"
LONGEST = 7.5  # seconds of a recording that are copied: eight of them are a minute


@dataclass(frozen=True, eq=False)
class Copies:
    """One recording and what was made of it: waves ``[t]`` at 16 kHz of one length, by the names of ``makers``."""

    name: str
    sounds: dict[str, np.ndarray]


def stretches(tracks: Sequence[Track], number: int, seconds: float = LONGEST) -> list[Track]:
    """The beginnings of ``number`` of the tracks, spread evenly over them.

    >>> from wavenet.data.tracks import ArrayTrack
    >>> tracks = [ArrayTrack(name, np.zeros(200_000)) for name in "abcde"]
    >>> [(track.name, track.samples) for track in stretches(tracks, 2)]
    [('a', 120000), ('e', 120000)]
    """
    places = np.linspace(0, len(tracks) - 1, min(number, len(tracks))).round().astype(int)
    return [Part(track, 0, min(track.samples, round(seconds * RATE))) for track in (tracks[at] for at in places)]


def copies(
    model: WaveNet,
    tracks: Sequence[Track],
    conditions: Conditions,
    seed: int = 0,
    progress: Callable[[float, str], None] | None = None,
    **choices: Any,
) -> Iterator[Copies]:
    """Copies of tracks: by the model, by mu-law alone, and by Griffin-Lim where frames are a mel spectrogram.

    To that the model's are fitted, as ``wavenet vocode`` does; beside them stand those as they were drawn.

    Mu-law is that of the model where it predicts codes, else that of 256 codes: 8 bits, with which vocoders began.

    The first track takes ``seed`` and each one the next, as in ``wavenet vocode``; ``choices`` go to
    ``wavenet.sampler.stream``. Eight are drawn together; ``progress`` is told the share that is done and the speed.
    """
    output, mel = model.config.output, model.config.frames
    mu_law = output if isinstance(output, Categorical) else Categorical()
    for at in range(0, len(tracks), AT_ONCE):
        group = tracks[at : at + AT_ONCE]
        longest = max(track.samples for track in group)
        told = conditions.of([(track, 0) for track in group], 0, longest)
        seeds = [seed + at + row for row in range(len(group))]
        blocks, done, begun = [], 0, time.perf_counter()
        for block in stream(model, longest, seeds=seeds, condition=told, **choices):
            blocks.append(block)
            done += block.shape[1]
            if progress:
                speed = len(group) * done / RATE / (time.perf_counter() - begun)
                progress((at + len(group) * done / longest) / len(tracks), f"{speed:.2f} × real time in all")
        drawn = torch.cat(blocks, dim=1).numpy()
        for track, wave in zip(group, drawn, strict=True):
            recording = track.read(0, track.samples)
            ours, round_trip = wave[: track.samples], mu_law.quantise(torch.from_numpy(recording)).numpy()
            sounds = [recording, ours, round_trip]
            if isinstance(mel, Mel):
                frames = mel.of_track(track, 0, mel.count(track.samples))
                ours = fitted(torch.from_numpy(wav.as_written(ours)), frames, mel).numpy()
                sounds = [recording, ours, *sounds[1:], griffin_lim(frames, mel, track.samples).numpy()]
            yield Copies(Path(track.name).name, dict(zip(makers(model.config), sounds, strict=True)))


def makers(config: WaveNetConfig) -> tuple[str, ...]:
    """What the sounds of ``Copies`` are called, the recording first.

    >>> makers(WaveNetConfig(frames=Mel()))
    ('recording', 'model', 'model, as drawn', 'mu-law round trip', 'Griffin-Lim')
    """
    if not isinstance(config.frames, Mel):
        return "recording", "model", ROUND_TRIP
    return "recording", "model", AS_DRAWN, ROUND_TRIP, "Griffin-Lim"
