"""What a mel spectrogram alone says of the next sample: a linear predictor, and how far off it will be.

Each frame gives a spectrum, the spectrum an autocorrelation, and that the filter which predicts a sample from those
before it with the least error (Makhoul 1975, "Linear prediction: a tutorial review"). Nothing here is learnt. The
network then models only what is left over, in units of the expected error, as in LPCNet (Valin and Skoglund 2019,
arXiv 1810.11846), but with an order high enough to hold most voices' pitch as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from wavenet.conditioning import Condition
from wavenet.distributions.mixture import LEVELS
from wavenet.distributions.mu_law import mu_law_level
from wavenet.mel import Mel
from wavenet.mel_inversion import amplitudes_of

ROUNDS = 8  # of making a spectrum; more predict no better
WIDEST = 8.0  # standard deviations that the input table tells apart
HISS = 1e-6, 1e-9  # added to the power: a share of it, which keeps filters tame, and a 16-bit step


class Filters(NamedTuple):
    """One for each frame."""

    coefficients: Tensor
    """``[b, f, order]``, that of the newest sample first."""
    log_scales: Tensor
    """``[b, f]``: logarithm of the standard deviation of the error."""


def filters(mel: Mel, frames: Tensor) -> Filters:
    """The filters of ``frames [b, channels, f]``: natural logarithms of mel amplitudes, as ``mel`` makes them."""
    order, shape, device = mel.predictor, (frames.shape[0], frames.shape[2]), frames.device
    window = torch.hann_window(mel.n_fft, dtype=torch.float64).square().sum()
    flat = frames.transpose(0, 1).flatten(1).cpu()
    power = amplitudes_of(flat, mel, ROUNDS).double().square() / window
    correlation = torch.fft.irfft(power, dim=0)[: order + 1].t().contiguous()
    correlation[:, 0] = correlation[:, 0] * (1 + HISS[0]) + HISS[1]
    coefficients, error = levinson(correlation)
    scales = error.clamp(min=HISS[1] ** 2).log() / 2
    return Filters(coefficients.float().view(*shape, order).to(device), scales.float().view(shape).to(device))


def levinson(correlation: Tensor) -> tuple[Tensor, Tensor]:
    """The best predictors ``[f, order]`` for autocorrelations ``[f, order + 1]``, and their errors' power ``[f]``.

    Levinson and Durbin's recursion. The first coefficient is that of the newest sample.

    >>> levinson(torch.tensor([[1.0, 0.5, 0.25]]))[0].tolist()
    [[0.5, 0.0]]
    """
    error, found = correlation[:, 0].clone(), correlation[:, :0]
    for at in range(1, correlation.shape[1]):
        missing = correlation[:, at] - (found * correlation[:, 1:at].flip(1)).sum(1)
        reflection = (missing / error)[:, None]
        found = torch.cat([found - reflection * found.flip(1), reflection], dim=1)
        error = error * (1 - reflection[:, 0].square())
    return found, error


def prior(mel: Mel, condition: Condition, wave: Tensor, start: int) -> Tensor:
    """Mean and log scale ``[b, n, 2]`` of each sample of ``wave [b, order + n]`` behind the first ``order``.

    The first that is spoken of is number ``start`` of the condition's time. Between two frames the filters of both
    speak, the nearer the louder; before the first frame and behind the last, that one's.
    """
    samples, hop = wave.shape[1] - mel.predictor, mel.hop
    places = condition.places(start)
    count = max(-(-(place % hop + samples) // hop) for place in places)
    first = torch.tensor([[place // hop] for place in places])
    seen = (first + torch.arange(count + 1)).clamp(0, condition.frames.shape[2] - 1).to(wave.device)
    frames = condition.frames.gather(2, seen[:, None].expand(-1, mel.channels, -1))
    return predicted(filters(mel, frames), hop, wave, [place % hop for place in places])


def predicted(found: Filters, hop: int, wave: Tensor, skipped: Sequence[int]) -> Tensor:
    """The same from filters, of which sound ``i`` begins ``skipped[i]`` samples behind the first."""
    order = found.coefficients.shape[2]
    samples, count = wave.shape[1] - order, found.coefficients.shape[1] - 1
    rows = [F.pad(row, (before, count * hop - before - samples)) for row, before in zip(wave, skipped, strict=True)]
    seen = torch.stack(rows).unfold(1, order, 1)[:, : count * hop].unflatten(1, (count, hop))  # [b, f, hop, order]
    pairs = torch.stack([found.coefficients[:, :-1], found.coefficients[:, 1:]], dim=-1).flip(2)
    later = torch.arange(hop, device=wave.device) / hop
    said = torch.matmul(seen, pairs)
    means = torch.lerp(said[..., 0], said[..., 1], later)
    scales = torch.lerp(found.log_scales[:, :-1, None], found.log_scales[:, 1:, None], later)
    both = torch.stack([means, scales], dim=-1).flatten(1, 2)
    return torch.stack([row[before : before + samples] for row, before in zip(both, skipped, strict=True)])


def surprise(wave: Tensor, prior: Tensor) -> Tensor:
    """How far ``wave [*]`` lies from what ``prior [*, 2]`` expects, as a level of an input table.

    In standard deviations, companded by the mu-law like samples, full scale being ``WIDEST``.
    """
    off = (wave - prior[..., 0]) * torch.exp(-prior[..., 1]) / WIDEST
    return mu_law_level(off.clamp(-1, 1), LEVELS)
