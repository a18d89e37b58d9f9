"""Griffin-Lim: sound from a mel spectrogram without any learning; what a vocoder has to beat.

It is told what the model is told and nothing else, and given what it needs to do well: amplitudes whose mel spectrum
is the given one to within 0.1 %, and 60 rounds of the fast variant.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchaudio.functional import griffinlim

from wavenet.mel import Mel
from wavenet.mel_inversion import amplitudes_of

INVERSIONS = 30
ROUNDS, MOMENTUM = 60, 0.99


def griffin_lim(frames: Tensor, mel: Mel, samples: int, seed: int = 0) -> Tensor:
    """Sound ``[samples]`` within [-1, 1] of ``frames [channels, f]``, made by ``mel``; phases begin at random.

    Fast Griffin-Lim with momentum 0.99 (Perraudin, Balazs and Søndergaard, 2013), torchaudio's.
    """
    length = max(samples, mel.n_fft // 2 + 1)  # the least that can be reflected at its ends
    behind = max(0, mel.count(length) - frames.shape[-1])  # where the last frame goes on; cut away in the end
    amplitudes = torch.nn.functional.pad(amplitudes_of(frames, mel, INVERSIONS), (0, behind), mode="replicate")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        wave = griffinlim(
            amplitudes, torch.hann_window(mel.n_fft), mel.n_fft, mel.hop, mel.n_fft,
            1.0, ROUNDS, MOMENTUM, length, rand_init=True,
        )  # fmt: skip
    return wave[:samples].clamp(-1, 1)
