"""How close is a copy to the recording it was made of? The usual measures, each against its recording.

A vocoder's copy has the length of its recording and lies in time with it, so all measures but PESQ compare place by
place: nothing is aligned, and a copy that comes late pays for it. Means over files are means of the files' figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from wavenet.copies.cepstra import mel_cepstral_distortion
from wavenet.copies.intonation import intonation
from wavenet.copies.listeners import installed, short_time_intelligibility, wideband_pesq
from wavenet.copies.resolutions import stft_distance
from wavenet.copies.spectra import log_spectral_distance


@dataclass(frozen=True)
class Measure:
    """What a number of ``compare`` is called, its unit, and which way is better."""

    name: str
    title: str
    unit: str = ""
    digits: int = 2
    higher: bool = False

    @property
    def heading(self) -> str:
        """For a table.

        >>> MEASURES[0].heading
        'LSD dB ↓'
        """
        return " ".join(filter(None, (self.title, self.unit, "↑" if self.higher else "↓")))


MEASURES = (
    Measure("log_spectral_distance", "LSD", "dB"),
    Measure("mel_cepstral_distortion", "MCD", "dB"),
    Measure("f0_cents", "F0", "cents", 1),
    Measure("f0_hertz", "F0", "Hz", 1),
    Measure("f0_fine_cents", "fine F0", "cents", 1),
    Measure("gross_pitch_errors", "gross F0", "%", 1),
    Measure("voicing_errors", "voicing", "%", 1),
    Measure("stft_distance", "STFT", "", 3),
    Measure("pesq", "PESQ-WB", "MOS", 2, higher=True),
    Measure("stoi", "STOI", "", 3, higher=True),
)


def compare(recording: np.ndarray, copy: np.ndarray) -> dict[str, float | None]:
    """Every measure of two waves ``[t]`` at 16 kHz; None where a measure has no answer, such as pitch of silence.

    The longer one is cut. ``pesq`` and ``stoi`` are there only where their packages are. ValueError without sound, or
    for samples that are not finite.

    >>> wave = np.random.default_rng(0).normal(0, 0.1, 8000)
    >>> found = compare(wave, wave)
    >>> found["log_spectral_distance"], found["stft_distance"], found["f0_cents"]
    (0.0, 0.0, None)
    """
    length = min(len(recording), len(copy))
    ours, theirs = (np.asarray(wave, np.float32)[:length] for wave in (recording, copy))
    if not length or not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError("only sound can be compared: at least one sample each, all finite")
    waves = torch.from_numpy(ours), torch.from_numpy(theirs)
    melody = intonation(ours, theirs)
    found = {
        "log_spectral_distance": log_spectral_distance(*waves),
        "mel_cepstral_distortion": mel_cepstral_distortion(*waves),
        "f0_cents": melody.cents,
        "f0_hertz": melody.hertz,
        "f0_fine_cents": melody.fine,
        "gross_pitch_errors": 100 * melody.gross,
        "voicing_errors": 100 * melody.voicing,
        "stft_distance": stft_distance(*waves),
    }
    packages = installed()
    if "pesq" in packages:
        found["pesq"] = wideband_pesq(ours, theirs)
    if "pystoi" in packages:
        found["stoi"] = short_time_intelligibility(ours, theirs)
    return {name: None if math.isnan(value) else value for name, value in found.items()}


def means(rows: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    """Of each measure over files, of those that have an answer.

    >>> means([{"f0_hertz": 1.0, "stoi": None}, {"f0_hertz": 3.0, "stoi": None}])
    {'f0_hertz': 2.0, 'stoi': None}
    """
    values = {name: [row[name] for row in rows if row[name] is not None] for name in rows[0]}
    return {name: sum(each) / len(each) if each else None for name, each in values.items()}
