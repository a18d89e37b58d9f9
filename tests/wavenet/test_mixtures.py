"""Mixtures on the 16-bit grid: their formulas against many digits, their input, and their draws in every engine."""

import json
import math

import mpmath
import numpy as np
import pytest
import torch

from tests.wavenet.command_line import TINY, one_line_error
from tests.wavenet.networks import small_network
from wavenet.cli import main
from wavenet.distributions import Categorical, Drawing, Gaussian, LogisticMixture, grid
from wavenet.distributions.mu_law import mu_law_level
from wavenet.distributions.tables import InterpolatedEmbedding
from wavenet.model import WaveNet, WaveNetConfig
from wavenet.sampler import generate, uniforms
from wavenet.sampler.reference import redrawn

OUTPUTS = [LogisticMixture(), LogisticMixture(mixtures=1), Gaussian(), Gaussian(mixtures=3)]


@pytest.fixture(params=OUTPUTS, ids=str)
def output(request):
    return request.param


def mass(output, low, width):
    """Logarithm of the mass between ``low`` and ``low + width``, with as many digits as it takes."""
    with mpmath.workdps(60):
        low, width = mpmath.mpf(low), mpmath.mpf(width)
        if low + width / 2 > 0:
            low = -low - width
        if isinstance(output, Gaussian):
            below = lambda z: mpmath.erfc(-z / mpmath.sqrt(2)) / 2  # noqa: E731
        else:
            below = lambda z: 1 / (1 + mpmath.exp(-z))  # noqa: E731
        return float(mpmath.log(below(low + width) - below(low)))


@pytest.mark.parametrize("output", [LogisticMixture(), Gaussian()], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_mass_of_an_interval_has_all_its_digits(output, dtype):
    centres = [-300.0, -20.0, -3.0, -1.0, -0.1, 0.0, 0.7, 5.0, 60.0]
    widths = [1e-6, 1e-3, 0.01, 0.09, 0.11, 0.3, 0.49, 0.51, 1.0, 5.0, 32.0]
    low = torch.tensor([[centre - width / 2 for width in widths] for centre in centres], dtype=dtype)
    width = torch.tensor(widths, dtype=dtype).expand_as(low)
    found = output.log_between(low, low + width, width.log())
    exact = torch.tensor(
        [[mass(output, float(a), w) for a, w in zip(line, widths, strict=True)] for line in low], dtype=torch.float64
    )
    tolerance = 2e-6 if dtype == torch.float32 else 1e-6  # what the series leaves out
    torch.testing.assert_close(found.double(), exact, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("output", [LogisticMixture(), Gaussian()], ids=str)
def test_the_gradient_of_a_mass_is_right_far_from_the_mean_too(output):
    """Moving an interval outwards by a little costs what the tail's steepness says."""
    z = torch.tensor([-2e5, -1e3, -50.0, -5.0, 5.0, 50.0, 1e3, 2e5], requires_grad=True)
    for width in (1e-6, 0.2, 3.0):
        log_width = torch.full_like(z, math.log(width))
        found = torch.autograd.grad(output.log_between(z - width / 2, z + width / 2, log_width).sum(), z)[0]
        near = z.detach().abs() - width / 2  # where most of the mass lies, if the interval is wide
        steepness = near if isinstance(output, Gaussian) else torch.tanh(near.clamp(min=2) / 2)
        torch.testing.assert_close(found, -z.detach().sign() * steepness, rtol=0.25, atol=0.1)


def test_a_narrower_scale_than_the_floor_says_nothing_more_but_can_widen_again(output):
    parameters = torch.zeros(output.channels)
    scales = parameters[-output.mixtures :]
    scales.fill_(-100)
    assert float(output.nll(parameters, torch.zeros(()))) < 1e-5
    scales.fill_(-20)
    parameters.requires_grad_()
    surprised = output.nll(parameters, torch.tensor(0.01))
    assert bool((torch.autograd.grad(surprised, parameters)[0][-output.mixtures :] < -0.1).all())


def test_what_lies_beyond_the_grid_belongs_to_its_ends(output):
    parameters = output.initial()
    means = parameters[-2 * output.mixtures : -output.mixtures]
    parameters[-output.mixtures :] = -7
    for value, end in ((-1.5, -1.0), (1.5, 1.0)):
        means.fill_(value * 16)
        assert float(output.nll(parameters, torch.tensor(end))) == pytest.approx(0, abs=1e-6)


def test_the_input_is_the_table_of_codes_with_16_bit_detail_between_its_rows(output):
    torch.manual_seed(0)
    between = output.input_layer(8)
    torch.manual_seed(0)
    codes = Categorical().input_layer(8)
    assert torch.equal(between.weight, codes.weight)
    assert torch.equal(between(torch.arange(256.0)), codes(torch.arange(256)))
    near = output.encode(grid.value_of(torch.arange(32_700, 32_800)))
    assert bool((near.diff() > 0).all())
    torch.testing.assert_close(between(torch.tensor(3.25)), 0.75 * codes.weight[3] + 0.25 * codes.weight[4])
    assert isinstance(between, InterpolatedEmbedding)


def test_a_sample_that_is_not_on_the_grid_is_heard_as_its_nearest_value(output):
    wave = torch.rand(100) * 2.2 - 1.1
    assert torch.equal(output.encode(wave), mu_law_level(output.quantise(wave)))


def wild(output, **changes):
    """A network whose draws are all over the grid."""
    shape = {"dilations": (1, 2, 4, 8, 1, 2, 4, 8), "residual_channels": 12, "gate_channels": 20}
    torch.manual_seed(0)
    model = small_network(output=output, **shape, **changes).eval()
    with torch.no_grad():
        model.output.weight.mul_(0.3)
        model.output.bias[-output.mixtures :] -= 3
    return model


@pytest.mark.parametrize("engine", ["cached", "compiled"])
@pytest.mark.parametrize("kernel_size", [1, 2, 3])
@pytest.mark.parametrize(("prompt", "temperature"), [(0, 1.0), (3, 0.0), (50, 0.7)])
def test_every_engine_draws_what_a_wild_network_says(engine, output, kernel_size, prompt, temperature):
    """Sums in another order change last bits, and a uniform number near an edge then falls on the other side of it.

    One value to the side is nothing; where values are so unlikely that a last bit is many of them, it may be more.
    """
    model, streams, samples = wild(output, kernel_size=kernel_size), 3, 40
    past = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (1, prompt))).float()
    choices = {"seeds": range(streams), "engine": engine, "prompt": past, "drawing": Drawing(temperature)}
    wave = generate(model, samples, **choices)[:, prompt:]
    expected = redrawn(model, uniforms(range(streams), samples), wave, past, Drawing(temperature))
    steps = (expected - wave).abs() * grid.HALF
    assert float((steps <= 1).double().mean()) >= 0.97
    assert len(wave.unique()) > 10  # not a constant that any engine would get right


def gentle(output):
    """A network as it is when training begins, but for its last layer: small changes stay small."""
    torch.manual_seed(0)
    model = WaveNet(WaveNetConfig(dilations=(1, 2, 4, 8) * 2, residual_channels=12, gate_channels=20, output=output))
    with torch.no_grad():
        model.output.weight.normal_(0, 0.02)
        model.output.bias[-output.mixtures :] -= 3
    return model.eval()


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])  # and float32: test_agreement
def test_engines_left_to_themselves_stay_within_the_slack(output, precision):
    expected, *drawn = (
        generate(gentle(output), 120, seeds=range(3), engine=engine, precision=precision)
        for engine in ("reference", "cached", "compiled")
    )
    for wave in drawn:
        assert float((wave - expected).abs().max()) <= output.slack


@pytest.mark.parametrize("name", ["logistic-mixture", "gaussian"])
def test_train_resume_generate_evaluate_info(name, recordings, tmp_path, capsys):
    folder = str(tmp_path / "run")
    assert main(["train", str(recordings), "-o", folder, "--output", name, "--steps", "2", "-q", *TINY]) == 0
    assert main(["train", "--resume", folder, "--steps", "4", "-q"]) == 0
    assert main(["generate", folder, "--seconds", "0.02", "-o", str(tmp_path / "a.wav"), "-q"]) == 0
    capsys.readouterr()
    refused = one_line_error(capsys, ["generate", folder, "--top-p", "0.9", "-o", str(tmp_path / "b.wav")])
    assert "--top-p: a mixture on 16-bit samples has too many values to rank; temperature is what it takes" in refused
    assert not (tmp_path / "b.wav").exists()
    assert main(["evaluate", folder, str(recordings), "--json", "-q"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["scale"] == "16-bit samples"
    assert result["bits_per_sample"] == result["bits_16"]
    assert 0 < result["bits_mu_law"] < result["bits_16"]
    assert main(["info", folder, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"]["output"]["type"] in ("LogisticMixture", "Gaussian")
    assert "--resume" in one_line_error(capsys, ["train", "--resume", folder, "--output", name])


def test_the_flag_for_the_output_is_laid_over_the_preset_and_under_single_settings(capsys):
    argv = ["train", "x", "--output", "gaussian-mixture", "--set", "model.output.mixtures=4", "--print-config"]
    assert main(argv) == 0
    assert json.loads(capsys.readouterr().out)["model"]["output"] == {"type": "Gaussian", "mixtures": 4}
    assert "logistic-mixture" in one_line_error(capsys, ["train", "x", "--output", "laplace"])
