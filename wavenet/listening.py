"""What a report lets one hear: held-back recordings, what the model makes now, and its previews, all drawn alike."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shared.errors import InputError
from shared.report import Picture, Sound
from shared.run_report import by_step, spread, step_of
from shared.training.progress import ProgressLine
from wavenet import audio, figures, wav
from wavenet.conditioning import Condition
from wavenet.copies import MEASURES, compare
from wavenet.copies.drawn import AS_DRAWN, ROUND_TRIP, copies
from wavenet.copies.table import Row
from wavenet.data.conditions import Conditions, labels_of, whole
from wavenet.data.tracks import Part, Track, Tracks
from wavenet.model import WaveNet
from wavenet.run import Run
from wavenet.sampler import stream

MOST_SECONDS, USUAL_SECONDS = 3.0, 2.0  # of a clip: unless asked for more; without recordings to go by
LONGEST = 30.0  # seconds of a clip that a page has room for
MOST_CLIPS, MOST_VOICES, USUAL_CLIPS, MOST_PREVIEWS = 24, 6, 4, 6
RECORDING, GENERATED, COPY = "recording", "generated", "copy"


@dataclass(frozen=True, eq=False)
class Heard:
    """One sound, float32 ``[t]`` at 16 kHz, and what it is."""

    caption: str
    wave: np.ndarray

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.wave) / audio.RATE


Rows = list[tuple[str, list[Heard]]]
"""Sounds that are to be compared, under a name for each comparison."""


@dataclass(frozen=True, eq=False)
class HeldBack:
    """What a run held back, with what each track is told; ``remark`` says what is odd about it."""

    tracks: Tracks
    labels: Mapping[str, str]
    conditions: Conditions
    remark: str = ""

    def voice(self, track: Track) -> str:
        """Who speaks in a track; empty where that is not told."""
        return self.labels.get(whole(track)[0].name, "")

    def by_voice(self) -> dict[str, list[Track]]:
        """The held-back tracks of each speaker, in the order of their names."""
        found: dict[str, list[Track]] = {}
        for track in self.tracks.validation:
            found.setdefault(self.voice(track), []).append(track)
        return dict(sorted(found.items()))


def held_back(run: Run, state: Mapping[str, Any] | None, line: ProgressLine) -> HeldBack:
    """Read the run's data again, all of it, as the split wants; InputError where that cannot be done."""
    tracks = run.data.load(run.train.validation, lambda done, total: line.update(done / total, "reading the data"))
    if not tracks.validation:
        raise InputError("nothing is held back in the data as they are now")
    labels = labels_of([*tracks.train, *tracks.validation], run.speakers) if run.speakers else {}
    conditions = Conditions(run.model, labels, run.features)
    conditions.check(tracks.validation)
    same = state is None or state.get("data") == tracks.fingerprint
    changed = "The data are not what they were when this run was saved: it may have been trained on these recordings."
    return HeldBack(tracks, labels, conditions, "" if same else changed)


def chosen(held: HeldBack, clips: int, seconds: float | None) -> list[Track]:
    """The beginnings of some held-back tracks: of as many speakers as there are, or spread evenly over all."""
    if held.labels:
        tracks = [tracks[0] for tracks in spread(list(held.by_voice().values()), clips)]
    else:
        tracks = spread(held.tracks.validation, clips)
    longest = max((track.samples for track in tracks), default=0)
    most = min(longest, round(MOST_SECONDS * audio.RATE)) if seconds is None else round(seconds * audio.RATE)
    return [Part(track, 0, min(track.samples, most)) for track in tracks]


def beside_recordings(model: WaveNet, held: HeldBack, tracks: Sequence[Track], line: ProgressLine) -> Rows:
    """Each recording beside what the model makes when told the same: its voice, or nothing. Seeds count from 0."""
    longest = max(track.samples for track in tracks)
    waves = _drawn(model, longest, held.conditions.of([(track, 0) for track in tracks], 0, longest), len(tracks), line)
    rows = []
    for seed, (track, wave) in enumerate(zip(tracks, waves, strict=True)):
        real = Heard(f"{RECORDING} · {Path(track.name).name}", track.read(0, track.samples))
        rows.append((held.voice(track), [real, Heard(f"{GENERATED} · seed {seed}", wave)]))
    return rows


def alone(model: WaveNet, clips: int, seconds: float, line: ProgressLine) -> Rows:
    """What the model makes, where there is nothing to lay beside it: three in a row."""
    labels = model.config.labels
    names = spread(labels.names, clips) if labels else [""] * clips
    told = Condition(torch.tensor([labels.index(name) for name in names]) if labels else None)
    waves = _drawn(model, round(seconds * audio.RATE), told, len(names), line)
    heard = [
        Heard(" · ".join(filter(None, (name, f"{GENERATED}, seed {seed}"))), wave)
        for seed, (name, wave) in enumerate(zip(names, waves, strict=True))
    ]
    return in_threes(heard)


def copied(model: WaveNet, held: HeldBack, tracks: Sequence[Track], line: ProgressLine) -> tuple[Rows, list[Row]]:
    """Recordings, the model's copies and Griffin-Lim's; and how close each maker of copies comes."""
    rows: Rows = []
    found: dict[str, list[dict[str, float | None]]] = {}
    for each in copies(model, tracks, held.conditions, progress=line.update):
        (_, recording), *made = each.sounds.items()
        audible = [(name, wave) for name, wave in made if name not in (AS_DRAWN, ROUND_TRIP)]  # sound like their kin
        copied = [Heard(COPY if name == "model" else name, wave) for name, wave in audible]
        rows.append((each.name, [Heard(RECORDING, recording), *copied]))
        for name, wave in made:
            found.setdefault(name, []).append(compare(recording, wave))
    return rows, [Row(name, tuple(files)) for name, files in found.items()]


def closeness(rows: Sequence[Row]) -> tuple[list[str], list[list[object]]]:
    """Heads and rows of a table of measures, a line a maker of copies."""
    shown = [measure for measure in MEASURES if measure.name in rows[0].mean]
    lines: list[list[object]] = []
    for row in rows:
        values = ((row.mean[measure.name], measure.digits) for measure in shown)
        lines.append([row.name, *(None if value is None else f"{value:.{digits}f}" for value, digits in values)])
    return ["copies by", *(measure.heading for measure in shown)], lines


def previews(folder: Path) -> list[Heard]:
    """The previews of a run, the earliest first; one that cannot be read is left out."""
    found = []
    for path in spread(by_step(folder.glob("step-*.wav")), MOST_PREVIEWS):
        try:
            wave = audio.read(path, 0, round(LONGEST * audio.RATE))
        except InputError:
            continue
        found.append(Heard(f"step {step_of(path):,}", wave))
    return found


def in_threes(heard: Sequence[Heard]) -> Rows:
    """One after the other, three in a row, or two where that fills the rows."""
    width = 2 if len(heard) in (2, 4) else 3
    return [("", list(heard[at : at + width])) for at in range(0, len(heard), width)]


def loudest(heard: Sequence[Heard]) -> float:
    """The power to which spectrograms are scaled, all alike: that of the recordings, or else of all."""
    real = [each for each in heard if each.caption.startswith(RECORDING)]
    return max((float(figures.power(each.wave).max()) for each in real or heard), default=0.0)


def players(rows: Rows, scale: float) -> Iterator[tuple[str, list[Sound]]]:
    """Rows for ``Page.sounds``: every spectrogram has the same axes, and ``scale`` is that of its colours."""
    seconds = max(each.seconds for _, row in rows for each in row)
    width = 2.9 if max(len(row) for _, row in rows) == 3 else 4.2
    for name, row in rows:
        sounds = []
        for each in row:
            png = figures.spectrogram_png(each.wave, seconds=seconds, loudest=scale, width=width)
            what = f"{name}, {each.caption}" if name else each.caption
            alt = f"Spectrogram of {what}: {each.seconds:.2f} s, 0 to 8 kHz."
            caption = f"{each.caption} · {each.seconds:.2f} s"
            sounds.append(Sound(wav.to_bytes(each.wave), caption, Picture(png, "", alt)))
        yield name, sounds


def _drawn(model: WaveNet, samples: int, told: Condition, clips: int, line: ProgressLine) -> np.ndarray:
    blocks, done, begun = [], 0, time.perf_counter()
    for block in stream(model, samples, seeds=range(clips), condition=told):
        blocks.append(block)
        done += block.shape[1]
        speed = clips * done / audio.RATE / (time.perf_counter() - begun)
        line.update(done / samples, f"drawing · {speed:.2f} × real time in all")
    return torch.cat(blocks, dim=1).numpy()
