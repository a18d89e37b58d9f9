"""Mel spectrograms as frames: what a vocoder is told. The settings are part of the model, so use equals training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torchaudio.transforms import MelSpectrogram

from wavenet.audio import RATE
from wavenet.conditioning import Frames
from wavenet.data.tracks import Track

LONGEST_FFT = 16_384


@dataclass(frozen=True, kw_only=True)
class Mel(Frames):
    """Natural logarithms of mel amplitudes, as vocoders use them (Slaney's filters, each of unit area).

    Equal to torchaudio's ``MelSpectrogram(power=1, norm="slaney", mel_scale="slaney", pad_mode="constant")``.
    """

    n_fft: int = 1024
    """Samples of a window; 1024 is 64 ms."""
    lowest: float = 0.0
    """Hz, where the first filter begins."""
    highest: float = 8000.0
    """Hz, where the last one ends."""
    floor: float = 1e-5
    """Amplitudes below are taken for this one."""
    mean: float = -6.0
    """Of the logarithms, about; they are standardised by it."""
    deviation: float = 3.0
    """Likewise."""
    predictor: int = 0
    """Order of the linear predictor that the frames give (``wavenet.linear_prediction``); 0: none."""

    def __post_init__(self):
        super().__post_init__()
        if not self.hop <= self.n_fft <= LONGEST_FFT or self.n_fft % 2:
            raise ValueError(f"n_fft is even, from the hop up to {LONGEST_FFT}, not {self.n_fft}")
        if not 0 <= self.lowest < self.highest <= RATE / 2:
            raise ValueError(f"lowest and highest lie in order between 0 and {RATE / 2:.0f} Hz")
        if not 0 <= self.predictor <= self.n_fft // 2:
            raise ValueError(f"predictor is at most half of n_fft, where its correlations wrap, not {self.predictor}")
        if not 0 < self.floor < 1:
            raise ValueError(f"floor lies between 0 and 1, not {self.floor}")

    def count(self, samples: int) -> int:
        """Frames of so many samples: one at each multiple of the hop, 0 included.

        >>> Mel(hop=200).count(1000)
        6
        """
        return 1 + samples // self.hop

    def of(self, wave: Tensor) -> Tensor:
        """``[*, t] -> [*, channels, count(t)]``; silence before and after."""
        return self._read(torch.nn.functional.pad(wave, (self.n_fft // 2, self.n_fft // 2)))

    def of_track(self, track: Track, first: int, last: int) -> Tensor:
        """Frames ``first … last`` of a track, ``[channels, last − first]``, from just the samples that they need.

        Numbers outside the track stand for its first or last frame.
        """
        final = self.count(track.samples) - 1
        low, high = min(max(first, 0), final), min(max(last - 1, 0), final)
        half = self.n_fft // 2
        begin, end = low * self.hop - half, high * self.hop + half
        wave = np.zeros(end - begin, np.float32)
        inside, until = max(0, begin), min(track.samples, end)
        if until > inside:
            wave[inside - begin : until - begin] = track.read(inside, until - inside)
        frames = self._read(torch.from_numpy(wave))
        return frames[:, torch.arange(first, last).clamp(low, high) - low]

    def _read(self, padded: Tensor) -> Tensor:
        transform = _transform(self.n_fft, self.hop, self.channels, self.lowest, self.highest).to(padded.device)
        return transform(padded.float()).clamp_min(self.floor).log()


@lru_cache(maxsize=8)
def _transform(n_fft: int, hop: int, channels: int, lowest: float, highest: float) -> MelSpectrogram:
    return MelSpectrogram(
        RATE, n_fft, hop_length=hop, f_min=lowest, f_max=highest, n_mels=channels,
        power=1.0, center=False, norm="slaney", mel_scale="slaney",
    )  # fmt: skip
