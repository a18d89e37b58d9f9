"""What every output distribution promises, and what mu-law's is known to be."""

import math

import pytest
import torch

from wavenet.distributions import Categorical
from wavenet.distributions.categorical import mu_law_decode, mu_law_encode

OUTPUTS = [Categorical(), Categorical(classes=10)]


@pytest.fixture(params=OUTPUTS, ids=str)
def output(request):
    return request.param


def every_level(output):
    return mu_law_decode(torch.arange(output.classes), output.classes)


def test_probabilities_sum_to_one(output):
    parameters = torch.randn(1, output.channels).expand(output.classes, -1) * 3
    nats = output.nll(parameters, every_level(output))
    assert float(torch.exp(-nats.double()).sum()) == pytest.approx(1, abs=1e-5)


def test_samples_follow_the_likelihood(output):
    parameters = torch.randn(output.channels)
    draws = 200_000
    uniform = (torch.arange(draws, dtype=torch.float64) + 0.5) / draws  # every part of [0, 1) equally often
    wave = output.sample(parameters.expand(draws, -1), uniform)
    levels = every_level(output)
    shares = (wave[:, None] == levels).double().mean(0)
    probabilities = torch.exp(-output.nll(parameters.expand(len(levels), -1), levels).double())
    assert float((shares - probabilities).abs().max()) < 2 / draws * output.classes


def test_a_lower_temperature_is_a_sharper_distribution(output):
    parameters = torch.randn(output.channels)
    uniform = torch.linspace(0, 1, 5001, dtype=torch.float64)[:-1]
    rows = parameters.expand(len(uniform), -1)
    kinds = [len(output.sample(rows, uniform, temperature).unique()) for temperature in (2.0, 0.5, 0.05, 0.0)]
    assert kinds == sorted(kinds, reverse=True)
    assert kinds[-1] == 1
    assert output.sample(rows[:1], uniform[:1], 0.0) == every_level(output)[parameters.argmax()]


def test_a_uniform_number_at_either_end_is_a_legal_draw(output):
    parameters = torch.full((2, output.channels), -1e4)  # their probability is 0 even in float64
    parameters[:, 3] = 1e4
    ends = torch.tensor([0.0, math.nextafter(1.0, 0.0)], dtype=torch.float64)
    assert output.sample(parameters, ends).tolist() == [every_level(output)[3].item()] * 2


def test_a_level_survives_being_quantised_again(output):
    levels = every_level(output)
    torch.testing.assert_close(output.quantise(levels), levels)


def test_the_gradient_is_finite_at_the_edges(output):
    parameters = (torch.randn(4, output.channels) * 50).requires_grad_()
    output.nll(parameters, torch.tensor([-1.0, 1.0, -1.5, 1.5])).sum().backward()
    assert torch.isfinite(parameters.grad).all()


def test_mu_law_is_the_unbiased_one():
    wave = torch.linspace(-1, 1, 400_001)
    error = mu_law_decode(mu_law_encode(wave)) - wave
    assert float(error.double().square().mean().sqrt()) == pytest.approx(0.0073, abs=0.0001)
    assert abs(float(error.double().mean())) < 1e-5
    ends_and_middle = mu_law_decode(mu_law_encode(torch.tensor([-1.0, 0.0, 1.0])))
    assert ends_and_middle[0] == -1
    assert ends_and_middle[2] == 1
    assert abs(float(ends_and_middle[1])) < 1e-4


@pytest.mark.parametrize("classes", [256, 64])
def test_mu_law_is_torchaudios(classes):
    from torchaudio.functional import mu_law_decoding, mu_law_encoding

    wave = torch.rand(10_000) * 2 - 1
    codes = mu_law_encode(wave, classes)
    assert torch.equal(codes, mu_law_encoding(wave, classes))
    torch.testing.assert_close(mu_law_decode(codes, classes), mu_law_decoding(codes, classes))
