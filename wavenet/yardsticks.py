"""What bits per sample mean nothing without: two honest codes without a network, on the same data.

Both are of the values that a model's output distribution knows, mu-law codes or 16-bit samples, so that they are on
the model's own scale.

``order_0``   the entropy of the values themselves: the best that any code can do that ignores the past.
``linear_32`` a causal linear predictor from the last 32 samples. Its residual follows a fitted mixture of logistic
              distributions, integrated over each value's cell, so that the values' probabilities sum to one.
              (Predicting the codes instead of the samples is the weaker yardstick: 6.40 against 6.00 bits on speech.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wavenet.data.excerpts import evenly
from wavenet.data.tracks import Track
from wavenet.distributions import Distribution

ORDER = 32
COMPONENTS = 5  # from a quiet room's hiss to a plosive
MOST_FITTED = 2_000_000  # samples of the training tracks that the predictor is fitted on
MOST_THINNED = 20_000  # of them for the residual's distribution


@dataclass(frozen=True)
class Yardsticks:
    """Bits per sample that a model has to beat."""

    order_0: float
    linear_32: float


def yardsticks(
    train: Sequence[Track],
    held: Sequence[Track],
    output: Distribution,
    *,
    targets: int = 8192,
    most: int | None = None,
) -> Yardsticks:
    """Fit on ``train``, measure on ``held``, on the same excerpts as ``bits_per_sample`` with these numbers."""
    linear_nll = _linear_code(list(_excerpts(train, output, targets, max(1, MOST_FITTED // targets))), output)
    counts, nats = np.zeros(output.values, np.int64), 0.0
    for codes in _excerpts(held, output, targets, most):  # one at a time: there may be hours of it
        counts += np.bincount(codes[ORDER:], minlength=output.values)
        nats += linear_nll(codes)
    shares = counts[counts > 0] / counts.sum()
    return Yardsticks(float(-(shares * np.log2(shares)).sum()), nats / math.log(2) / int(counts.sum()))


def _excerpts(tracks: Sequence[Track], output: Distribution, targets: int, most: int | None) -> Iterator[np.ndarray]:
    """The values' numbers, codes, of each excerpt behind the ORDER before it; silence before a track begins."""
    for track, start in evenly(tracks, targets, most):
        begin = max(0, start - ORDER)
        sound = track.read(begin, min(track.samples, start + targets) - begin)
        sound = np.pad(sound, (ORDER - (start - begin), 0))
        yield output.number_of(torch.from_numpy(sound)).numpy()


def _linear_code(fitted: Sequence[np.ndarray], output: Distribution) -> Callable[[np.ndarray], float]:
    """Fit the predictor; the answer takes an excerpt's codes to the nats of those after the first ORDER."""
    levels = output.value_of(torch.arange(output.values)).double().numpy()
    mean = sum(levels[codes].sum() for codes in fitted) / sum(map(len, fitted))
    correlation = sum(_autocorrelation(levels[codes] - mean) for codes in fitted)
    lags = np.abs(np.arange(ORDER)[:, None] - np.arange(ORDER))
    ridge = (1e-9 * correlation[0] + 1e-12) * np.eye(ORDER)  # silence has a solution, too
    weights = np.linalg.solve(correlation[lags] + ridge, correlation[1:])  # the Yule-Walker equations

    def pairs(excerpts: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        predicted = [mean + np.convolve(levels[codes[:-1]] - mean, weights, mode="valid") for codes in excerpts]
        actual = np.concatenate([codes[ORDER:] for codes in excerpts])
        return torch.from_numpy(np.concatenate(predicted)), torch.from_numpy(actual)

    edges = _edges(output)
    predicted, actual = pairs(fitted)
    thinned = slice(None, None, max(1, len(actual) // MOST_THINNED))
    mixture = _fit_mixture(predicted[thinned], actual[thinned], torch.from_numpy(levels), edges)
    return lambda codes: float(_mixture_nll(*pairs([codes]), *mixture, edges).sum())


def _autocorrelation(wave: np.ndarray) -> np.ndarray:
    """Lags 0 to ORDER, by Fourier transform."""
    power = np.abs(np.fft.rfft(wave, 2 * len(wave))) ** 2
    return np.fft.irfft(power)[: ORDER + 1]


def _edges(output: Distribution) -> Tensor:
    """Where the cells of the values meet, ``[values + 1]``; the outer two edges lie beyond any sound."""
    inner = output.edges()
    beyond = inner.new_tensor([1e6])  # not infinity, whose gradient would be 0 · ∞
    return torch.cat([-beyond, inner, beyond])


def _fit_mixture(predicted: Tensor, actual: Tensor, levels: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (as logits) and log scales of the mixture, by maximum likelihood."""
    spread = (levels[actual] - predicted).abs().mean().clamp(min=1e-6).log()
    weights = torch.zeros(COMPONENTS, dtype=torch.float64, requires_grad=True)
    scales = (spread + torch.linspace(-4, 2, COMPONENTS, dtype=torch.float64)).requires_grad_()
    optimizer = torch.optim.LBFGS([weights, scales], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = _mixture_nll(predicted, actual, weights, scales, edges).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weights.detach(), scales.detach()


def _mixture_nll(predicted: Tensor, actual: Tensor, weights: Tensor, scales: Tensor, edges: Tensor) -> Tensor:
    """Nats of each value: the mixture's mass between the edges of its cell."""
    inverse = torch.exp(-scales)
    above = torch.tanh((edges[actual + 1] - predicted)[:, None] * inverse / 2)  # 2σ − 1, and faster than σ
    below = torch.tanh((edges[actual] - predicted)[:, None] * inverse / 2)
    mass = ((above - below) / 2 * torch.softmax(weights, 0)).sum(1)
    return -torch.log(mass.clamp(min=1e-12))
