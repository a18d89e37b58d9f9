"""A vocoder's last touch: what was drawn, bent until its mel spectrum is the one that it was told.

A network draws sample after sample and never looks back at how loud each band came out. The mel frames say it exactly.
So each band of each frame is turned up or down by what it is off, a few times over, since windows overlap. Phases, and
all that is finer than a band, stay as they were drawn. Griffin and Lim's rounds (1984, "Signal estimation from modified
short-time Fourier transform") go between the same two sets, but keep no phases, and start from none.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from wavenet.mel import Mel
from wavenet.mel_inversion import bank

ROUNDS = 16  # twice as many as bring nearly all of it
MOST_GAIN = 20.0  # of a band in one round
AT_ONCE = 2048  # frames: 26 s with the usual hop; a long sound needs no more memory than a short one


def fitted(wave: Tensor, frames: Tensor, mel: Mel, rounds: int = ROUNDS) -> Tensor:
    """``wave [t]`` within [-1, 1], told ``frames [channels, f]``, as float32 of the same length, fitted to them.

    Behind the last frame that one goes on. As drawn where windows do not overlap enough to be put together again.

    >>> noise = torch.randn(4000, generator=torch.Generator().manual_seed(0)) / 10
    >>> wanted = Mel().of(noise / 2)
    >>> off = (Mel().of(fitted(noise, wanted, Mel())) - wanted).abs()
    >>> bool(off.mean() < 0.02)
    True
    """
    if not (fits(mel) and len(wave)):
        return wave.float()
    count = mel.count(len(wave))
    wanted = pad(frames[:, :count], (0, max(0, count - frames.shape[1])), mode="replicate").double()
    margin = -(-rounds * mel.n_fft // mel.hop)  # frames that reach into a piece
    pieces = []
    for first in range(0, count, AT_ONCE):  # where pieces begin depends on nothing else, so nor do the last bits
        before, behind = max(0, first - margin), min(count, first + AT_ONCE + margin)
        begin, end = before * mel.hop, len(wave) if behind == count else behind * mel.hop
        piece = _bent(wave[begin:end].double(), wanted[:, before:behind].exp(), mel, rounds)
        until = min(end, (first + AT_ONCE) * mel.hop)
        pieces.append(piece[first * mel.hop - begin : until - begin])
    return torch.cat(pieces).clamp(-1, 1).float()


def fits(mel: Mel) -> bool:
    """Whether its windows overlap enough: by half."""
    return 2 * mel.hop <= mel.n_fft


def _bent(wave: Tensor, wanted: Tensor, mel: Mel, rounds: int) -> Tensor:
    filters, reach = bank(mel.n_fft, mel.channels, mel.lowest, mel.highest)
    shares = filters / reach.clamp_min(1e-12)  # of each band in a bin; none beyond the last band
    window = torch.hann_window(mel.n_fft, dtype=wave.dtype)
    length, count = len(wave), wanted.shape[1]
    wave = pad(wave, (0, mel.n_fft))  # so that no sample lies at the edge of all of its windows
    for _ in range(rounds):
        spectrum = torch.stft(wave, mel.n_fft, mel.hop, window=window, pad_mode="constant", return_complex=True)
        found = (filters.t() @ spectrum[:, :count].abs()).clamp_min(mel.floor)
        gains = (wanted / found).clamp(1 / MOST_GAIN, MOST_GAIN).log()
        spectrum[:, :count] *= (shares @ gains).exp()
        wave = torch.istft(spectrum, mel.n_fft, mel.hop, window=window, length=len(wave))
    return wave[:length]
