"""From mel bands back to a spectrum."""

from __future__ import annotations

from functools import lru_cache

from torch import Tensor
from torchaudio.functional import melscale_fbanks

from wavenet.audio import RATE
from wavenet.mel import Mel

LOUDEST = 10.0  # log amplitude; beyond is no sound


def amplitudes_of(frames: Tensor, mel: Mel, rounds: int) -> Tensor:
    """Amplitudes ``[1 + n_fft / 2, f]``, none negative, whose mel spectrum is ``frames [channels, f]``.

    There are many; the multiplications of Richardson (1972) and Lucy (1974) find one that is smooth, from a flat start.
    Of what was tried on speech (also least squares with non-negative bounds, and the clipped pseudo-inverse) it sounds
    nearest, and predicts best.
    """
    filters, reach = bank(mel.n_fft, mel.channels, mel.lowest, mel.highest)
    wanted = frames.double().clamp(max=LOUDEST).exp()
    found = wanted.mean(0).expand(len(filters), -1) * (reach > 0)
    for _ in range(rounds):
        missing = wanted / (filters.t() @ found).clamp_min(1e-12)
        found = found * (filters @ missing) / reach.clamp_min(1e-12)
    return found.float()


@lru_cache(maxsize=8)
def bank(n_fft: int, channels: int, lowest: float, highest: float) -> tuple[Tensor, Tensor]:
    """The filters, ``[1 + n_fft / 2, channels]``, and how much of all of them a bin has."""
    scale = {"norm": "slaney", "mel_scale": "slaney"}
    filters = melscale_fbanks(n_fft // 2 + 1, lowest, highest, channels, RATE, **scale).double()
    return filters, filters.sum(1, keepdim=True)
