"""Griffin-Lim: sound from a mel spectrogram without any learning; what a vocoder has to beat.

It is told what the model is told and nothing else, and given what it needs to do well: amplitudes whose mel spectrum
is the given one to within 0.1 %, and 60 rounds of the fast variant.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchaudio.functional import griffinlim, melscale_fbanks

from wavenet.audio import RATE
from wavenet.mel import Mel

INVERSIONS = 30
ROUNDS, MOMENTUM = 60, 0.99


def griffin_lim(frames: Tensor, mel: Mel, samples: int, seed: int = 0) -> Tensor:
    """Sound ``[samples]`` within [-1, 1] of ``frames [channels, f]``, made by ``mel``; phases begin at random.

    Fast Griffin-Lim with momentum 0.99 (Perraudin, Balazs and Søndergaard, 2013), torchaudio's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        wave = griffinlim(
            amplitudes_of(frames, mel).float(), torch.hann_window(mel.n_fft), mel.n_fft, mel.hop, mel.n_fft,
            1.0, ROUNDS, MOMENTUM, samples, rand_init=True,
        )  # fmt: skip
    return wave.clamp(-1, 1)


def amplitudes_of(frames: Tensor, mel: Mel, rounds: int = INVERSIONS) -> Tensor:
    """Amplitudes of bins, float64 ``[1 + n_fft / 2, f]``, none negative, whose mel spectrum is ``frames``.

    There are many; Richardson and Lucy's multiplications find one that is smooth, from a flat start. Of what was tried
    on speech (also least squares with non-negative bounds, and the clipped pseudo-inverse) it sounds nearest.
    """
    filters = melscale_fbanks(
        mel.n_fft // 2 + 1, mel.lowest, mel.highest, mel.channels, RATE, norm="slaney", mel_scale="slaney"
    ).double()
    wanted = frames.double().exp()
    reach = filters.sum(1, keepdim=True)
    found = wanted.mean(0).expand(len(filters), -1) * (reach > 0)
    for _ in range(rounds):
        missing = wanted / (filters.t() @ found).clamp_min(1e-12)
        found = found * (filters @ missing) / reach.clamp_min(1e-12)
    return found
