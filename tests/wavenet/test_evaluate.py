"""Bits per sample and the yardsticks beside it, on sounds whose answer is known."""

import itertools
import math

import numpy as np
import pytest
import torch

from tests.wavenet.networks import small_network
from wavenet.data.tracks import ArrayTrack
from wavenet.distributions import Categorical, Gaussian, LogisticMixture
from wavenet.distributions.mu_law import mu_law_decode
from wavenet.evaluate import bits_by_group, bits_per_sample, pooled
from wavenet.model import PRESETS, WaveNet
from wavenet.yardsticks import _edges, _mixture_nll, yardsticks


def of_codes(codes):
    return [ArrayTrack("codes", mu_law_decode(torch.as_tensor(codes)).numpy())]


def test_a_model_that_knows_nothing_needs_eight_bits():
    result = bits_per_sample(WaveNet(PRESETS["tiny"]), of_codes(np.random.default_rng(0).integers(0, 256, 3000)))
    assert result.bits == pytest.approx(8, abs=1e-5)
    assert result.samples == 3000


def test_the_score_does_not_depend_on_how_the_sound_is_cut():
    model, tracks = small_network(), of_codes(np.random.default_rng(0).integers(0, 256, 500))
    scores = [bits_per_sample(model, tracks, targets=t, batch=b).bits for t, b in ((500, 1), (64, 3), (7, 5))]
    assert scores == pytest.approx([scores[0]] * 3, rel=1e-5)


def test_the_score_is_that_of_the_obvious_path():
    model, tracks = small_network(), of_codes(np.random.default_rng(0).integers(0, 256, 200))
    wave = torch.from_numpy(tracks[0].wave)[None]
    expected = float(model.config.output.nll(model(wave), wave).mean().detach()) / math.log(2)
    assert bits_per_sample(model, tracks, targets=50).bits == pytest.approx(expected, rel=1e-5)


def test_groups_are_scored_as_if_each_were_alone_and_pool_to_the_whole():
    model, random = small_network(), np.random.default_rng(0)
    tracks = [of_codes(random.integers(0, 256, samples))[0] for samples in (300, 90, 200)]
    found = bits_by_group(model, tracks, ["ann", "bob", "ann"], targets=64, batch=3)
    assert found["bob"].bits == pytest.approx(bits_per_sample(model, tracks[1:2], targets=64).bits, rel=1e-6)
    assert {name: bits.samples for name, bits in found.items()} == {"ann": 500, "bob": 90}
    whole, together = bits_per_sample(model, tracks, targets=64), pooled(found.values())
    assert together.samples == whole.samples
    assert (together.bits, together.bits_16) == pytest.approx((whole.bits, whole.bits_16), rel=1e-9)


def test_order_0_is_the_entropy_of_the_codes():
    codes = np.random.default_rng(0).choice([10, 100, 200], 50_000, p=[0.5, 0.25, 0.25])
    assert yardsticks(of_codes(codes), of_codes(codes), Categorical()).order_0 == pytest.approx(1.5, abs=0.02)


def test_the_linear_predictor_knows_a_linear_process():
    """An autoregression's innovation alone is unpredictable; coding white noise of its size is the floor."""
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.01, 60_000)
    wave = np.zeros_like(noise)
    for at in range(2, len(wave)):
        wave[at] = 1.8 * wave[at - 1] - 0.9 * wave[at - 2] + noise[at]
    tracks = [ArrayTrack("ar", wave.astype(np.float32))]
    result = yardsticks(tracks, tracks, Categorical())
    assert result.linear_32 < result.order_0 - 1.5
    floor = math.log2(0.01 * 32_768 * math.sqrt(2 * math.pi * math.e))  # the innovation's entropy on the 16-bit grid
    assert yardsticks(tracks, tracks, Gaussian()).linear_32 == pytest.approx(floor, abs=0.02)


def test_the_linear_predictors_probabilities_sum_to_one():
    weights, scales = torch.randn(5, dtype=torch.float64), torch.linspace(-6, -1, 5, dtype=torch.float64)
    for output, predicted in itertools.product((Categorical(), LogisticMixture()), (-1.2, 0.0, 0.03, 0.9)):
        every = torch.arange(output.values)
        centre = torch.full(every.shape, predicted, dtype=torch.float64)
        nats = _mixture_nll(centre, every, weights, scales, _edges(output))
        assert float(torch.exp(-nats).sum()) == pytest.approx(1, abs=1e-6)


def test_yardsticks_count_the_models_own_classes():
    codes = np.random.default_rng(0).integers(0, 64, 5000)
    tracks = [ArrayTrack("codes", mu_law_decode(torch.as_tensor(codes), 64).numpy())]
    assert yardsticks(tracks, tracks, Categorical(classes=64)).order_0 == pytest.approx(6, abs=0.02)
