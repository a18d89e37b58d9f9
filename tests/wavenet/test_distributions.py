"""What every output distribution promises, and what mu-law's is known to be."""

import math
from functools import cache

import pytest
import torch

from shared.config import from_json, to_json
from wavenet.distributions import BY_NAME, GREEDY, Categorical, Gaussian, LogisticMixture, grid
from wavenet.distributions.mu_law import cells, mu_law_decode, mu_law_encode, mu_law_level
from wavenet.distributions.scales import nats_16, nats_mu_law
from wavenet.model import WaveNetConfig

OUTPUTS = [*BY_NAME.values(), Categorical(classes=10), LogisticMixture(mixtures=1)]
SETTINGS = ["at first", "random", "narrow", "wide", "at the lower edge", "beyond the upper edge"]
CASES = [
    (output, setting)
    for output in OUTPUTS
    for setting in (SETTINGS[:2] if isinstance(output, Categorical) else SETTINGS)
]


@pytest.fixture(params=OUTPUTS, ids=str)
def output(request):
    return request.param


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}, {case[1]}")
def case(request):
    """An output and its parameters ``[channels]``."""
    return request.param[0], parameters_of(*request.param)


@cache
def parameters_of(output, setting):
    if setting == "at first":
        return output.initial()
    torch.manual_seed(0)
    numbers = torch.randn(output.channels) * 3 + output.initial()
    if isinstance(output, Categorical):
        return numbers
    *_, means, scales = numbers.split(output.mixtures)  # views
    match setting:
        case "narrow":
            scales.fill_(-30)
        case "wide":
            scales.fill_(3)
        case "at the lower edge":
            means.add_(-16 - float(means.mean()))
        case "beyond the upper edge":
            means.add_(20)
    return numbers


def every_value(output):
    return output.value_of(torch.arange(output.values))


def rows(parameters, many):
    return parameters.expand(many, -1)


@cache
def by_16_bits(output, parameters):
    """Probability of each value of the 16-bit grid, float64."""
    turns = torch.arange(grid.VALUES).split(8192)  # all at once would fill the memory
    each = [output.log_mass(rows(parameters, len(some)), some, some + 1) for some in turns]
    return torch.exp(torch.cat(each).double())


def test_probabilities_sum_to_one(case):
    output, parameters = case
    nats = output.nll(rows(parameters, output.values), every_value(output))
    assert float(torch.exp(-nats.double()).sum()) == pytest.approx(1, abs=1e-5)


def test_probabilities_of_all_16_bit_values_sum_to_one(case):
    output, parameters = case
    assert float(by_16_bits(output, parameters).sum()) == pytest.approx(1, abs=1e-5)


def test_the_mass_of_an_interval_is_that_of_its_values(case):
    output, parameters = case
    cumulative = torch.cat([torch.zeros(1, dtype=torch.float64), by_16_bits(output, parameters).cumsum(0)])
    low = torch.tensor([0, 0, 5, 30_000, 32_767, 32_768, 40_000, 65_535])
    high = torch.tensor([1, 65_536, 65_536, 33_000, 32_768, 65_536, 40_003, 65_536])
    mass = torch.exp(output.log_mass(rows(parameters, len(low)), low, high).double())
    torch.testing.assert_close(mass, cumulative[high] - cumulative[low], atol=2e-6, rtol=1e-4)


def test_a_mu_law_codes_probability_is_that_of_the_16_bit_values_with_that_code(case):
    output, parameters = case
    values = grid.value_of(torch.arange(grid.VALUES))
    by_code = torch.zeros(256, dtype=torch.float64).index_add(0, mu_law_encode(values), by_16_bits(output, parameters))
    nats = nats_mu_law(output, rows(parameters, 256), mu_law_decode(torch.arange(256)))
    torch.testing.assert_close(torch.exp(-nats.double()), by_code, atol=2e-6, rtol=1e-4)
    assert float(torch.exp(-nats.double()).sum()) == pytest.approx(1, abs=1e-5)


def test_a_distributions_own_scale_is_the_common_one_where_they_are_the_same(case):
    output, parameters = case
    wave = torch.linspace(-1, 1, 1001)
    own = output.nll(rows(parameters, len(wave)), wave)
    if isinstance(output, Categorical):
        if output.classes == 256:
            torch.testing.assert_close(nats_mu_law(output, rows(parameters, len(wave)), wave), own)
    else:
        assert torch.equal(nats_16(output, rows(parameters, len(wave)), wave), own)


def test_samples_follow_the_likelihood_and_rise_with_the_uniform_number(case):
    """Of uniform numbers spread evenly, as many fall on the values up to any as these are likely, to half a draw."""
    output, parameters = case
    draws = 500
    uniform = (torch.arange(draws, dtype=torch.float64) + 0.5) / draws
    wave = output.sample(rows(parameters, draws), uniform)
    assert torch.equal(wave, wave.sort().values)
    assert torch.equal(output.quantise(wave), wave)
    counts = torch.bincount(output.number_of(wave), minlength=output.values)
    expected = torch.exp(-output.nll(rows(parameters, output.values), every_value(output)).double())
    assert float((counts.cumsum(0) / draws - expected.cumsum(0)).abs().max()) < 0.5 / draws + 1e-5


def test_a_uniform_number_at_either_end_is_a_likely_enough_draw(case):
    output, parameters = case
    ends = torch.tensor([0.0, math.nextafter(1.0, 0.0)], dtype=torch.float64)
    wave = output.sample(rows(parameters, 2), ends)
    assert bool((output.nll(rows(parameters, 2), wave) < 50).all())


def test_a_class_without_probability_is_not_drawn_at_either_end():
    output = Categorical()
    parameters = torch.full((2, output.channels), -1e4)  # their probability is 0 even in float64
    parameters[:, 3] = 1e4
    ends = torch.tensor([0.0, math.nextafter(1.0, 0.0)], dtype=torch.float64)
    assert output.sample(parameters, ends).tolist() == [every_value(output)[3].item()] * 2
    assert output.sample(parameters[:1], ends[:1], GREEDY) == every_value(output)[3]


def test_values_are_numbered_in_ascending_order_and_survive_being_quantised(output):
    values = every_value(output)
    assert bool((values.diff() > 0).all())
    assert torch.equal(output.number_of(values), torch.arange(output.values))
    assert torch.equal(output.quantise(values), values)
    assert torch.equal(output.quantise(torch.tensor([-7.0, 7.0])), values[[0, -1]])


def test_a_sample_is_between_the_edges_of_its_nearest_value(output):
    edges = torch.cat([torch.tensor([-2.0]), output.edges(), torch.tensor([2.0])])
    wave = torch.rand(1000, dtype=torch.float64) * 2 - 1
    number = output.number_of(wave)
    assert bool(((edges[number] <= wave) & (wave <= edges[number + 1])).all())


@pytest.mark.parametrize("size", [0.0, 50.0, 1e4])
def test_likelihood_and_gradient_are_finite_at_the_edges_and_for_extreme_parameters(output, size):
    torch.manual_seed(0)
    wave = torch.tensor([-1.0, 1.0, -1.5, 1.5, 0.0, 0.3])
    for sign in (torch.randn(len(wave), output.channels), torch.ones(1), -torch.ones(1)):
        parameters = (torch.zeros(len(wave), output.channels) + sign * size).requires_grad_()
        nats = output.nll(parameters, wave) + nats_16(output, parameters, wave) + nats_mu_law(output, parameters, wave)
        nats.sum().backward()
        assert torch.isfinite(nats).all()
        assert torch.isfinite(parameters.grad).all()


def test_it_begins_without_being_surprised_by_anything(output):
    wave = torch.linspace(-1, 1, 20_001)
    bits = nats_16(output, rows(output.initial(), len(wave)), wave) / math.log(2)
    assert float(bits.max()) < 64
    assert float(nats_16(output, output.initial(), torch.zeros(()))) / math.log(2) < 16


def test_a_config_keeps_its_output(output):
    config = WaveNetConfig(output=output)
    assert from_json(WaveNetConfig, to_json(config)) == config


@pytest.mark.parametrize("wrong", [lambda: Categorical(classes=1), lambda: LogisticMixture(mixtures=0)])
def test_an_impossible_size_is_refused(wrong):
    with pytest.raises(ValueError, match="must lie between"):
        wrong()


def test_cells_hold_every_16_bit_value_once_unless_codes_lie_closer_than_those():
    for classes in (2, 10, 256):
        first, end = cells(classes)
        assert first[0] == 0
        assert torch.equal(first[1:], end[:-1])
        assert end[-1] == grid.VALUES
    near = Categorical(classes=700)  # closer, about silence
    assert float(by_16_bits(near, parameters_of(near, "random")).sum()) == pytest.approx(1, abs=1e-5)
    first, end = cells(700)
    assert bool((end > first).all())
    assert float((mu_law_level(grid.value_of(first), 700) - torch.arange(700)).abs().max()) < 2


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


def test_gaussian_alone_is_one_and_its_mixture_is_another_choice():
    assert BY_NAME["gaussian"] == Gaussian(mixtures=1)
    assert BY_NAME["gaussian-mixture"].mixtures > 1
