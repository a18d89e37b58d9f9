"""What frames say before anything is learnt: the best linear predictor of a process with their spectrum."""

import math

import pytest
import torch
from torch import Tensor

from shared.training.session import decayed
from tests.wavenet.networks import small_network
from wavenet import audio
from wavenet.conditioning import Condition, Labels
from wavenet.distributions import Categorical, Gaussian, LogisticMixture
from wavenet.linear_prediction import Filters, levinson, predicted, prior, surprise
from wavenet.mel import Mel
from wavenet.model import WaveNet, WaveNetConfig
from wavenet.telling import ORDER
from wavenet.trainer import TABLES

MEL = Mel(hop=50, n_fft=256, channels=40, width=8, predictor=24)


def process(samples: int, *, seed: int = 0) -> Tensor:
    """``[1, t]``: noise through a resonance at 1 kHz, of standard deviation about 0.05."""
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 0.01
    wave, a, b = [0.0, 0.0], 2 * 0.97 * math.cos(2 * math.pi / 16), -(0.97**2)
    for each in noise.tolist():
        wave.append(a * wave[-1] + b * wave[-2] + each)
    return torch.tensor([wave[2:]], dtype=torch.float32)


def network(**changes: object) -> WaveNet:
    return small_network(**{"frames": MEL, "output": Gaussian(mixtures=3), **changes}).eval()


def test_levinson_solves_the_normal_equations() -> None:
    spectra = torch.rand(5, 129, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.01
    correlation = torch.fft.irfft(spectra)[:, :25].contiguous()
    found, error = levinson(correlation)
    lags = (torch.arange(24)[:, None] - torch.arange(24)).abs()
    expected = torch.linalg.solve(correlation[:, lags], correlation[:, 1:])
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(error, correlation[:, 0] - (expected * correlation[:, 1:]).sum(1))


def test_the_filters_of_a_process_predict_it_and_know_how_well() -> None:
    wave = process(40_000)
    said = prior(MEL, Condition(frames=MEL.of(wave)), wave, MEL.predictor)
    off = wave[:, MEL.predictor :] - said[..., 0]
    assert off.std() < 0.011  # of the noise in it, 0.01 could not be foreseen; it varies by about 0.04 itself
    assert wave.std() > 0.03
    units = off * torch.exp(-said[..., 1])
    assert 0.7 < units.std() < 1.2


def test_speech_is_predicted_better_than_by_the_usual_order_and_errors_are_as_large_as_said(speech) -> None:
    found = {}
    for order in (32, ORDER):
        mel, bits = Mel(predictor=order), []
        for clip in ("LJ001-0001", "LJ001-0041", "LJ001-0085"):
            wave = torch.from_numpy(audio.read(speech / f"{clip}.flac", 8000, 32_000))[None]
            said = prior(mel, Condition(frames=mel.of(wave)), wave, order)
            units = (wave[:, order:] - said[..., 0]) * torch.exp(-said[..., 1])
            assert 0.8 < units.square().mean().sqrt() < 1.2, clip
            bits.append((units.square() / 2 + said[..., 1]).mean().item() / math.log(2))
        found[order] = sum(bits)
    assert found[ORDER] < found[32]


def test_an_order_at_which_correlations_wrap_is_refused() -> None:
    assert Mel(n_fft=256, predictor=128).predictor == 128
    with pytest.raises(ValueError, match="half of n_fft"):
        Mel(n_fft=256, predictor=129)


def test_tables_and_kernels_do_not_decay() -> None:
    model = network(labels=Labels(names=("a", "b"), width=4))
    decaying, spared = ({id(each) for each in group["params"]} for group in decayed(model, 0.1, never=TABLES))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert all(names[each].endswith("weight") for each in decaying)
    tables = {"input.weight", "surprise.weight", "conditioning.label.weight", "conditioning.kernel"}
    assert tables <= {names[each] for each in spared}


def test_silence_is_expected_to_go_on() -> None:
    wave = torch.zeros(1, 2000)
    said = prior(MEL, Condition(frames=MEL.of(wave)), wave, MEL.predictor)
    assert torch.equal(said[..., 0], torch.zeros_like(said[..., 0]))
    assert said.isfinite().all()
    assert said[..., 1].max() < math.log(4 / 32_768)


def test_between_two_frames_both_filters_speak_the_nearer_the_louder() -> None:
    random = torch.Generator().manual_seed(2)
    order, hop, skipped = 6, 10, [3, 9]
    found = Filters(torch.randn(2, 5, order, generator=random), torch.randn(2, 5, generator=random))
    wave = torch.randn(2, order + 30, generator=random)
    said = predicted(found, hop, wave, skipped)
    for row in range(2):
        for at in range(30):
            frame, phase = divmod(skipped[row] + at, hop)
            later = phase / hop
            filter = (1 - later) * found.coefficients[row, frame] + later * found.coefficients[row, frame + 1]
            mean = (filter * wave[row, at : at + order].flip(0)).sum()
            scale = (1 - later) * found.log_scales[row, frame] + later * found.log_scales[row, frame + 1]
            torch.testing.assert_close(said[row, at], torch.stack([mean, scale]))


def test_a_surprise_of_nothing_is_the_middle_of_its_table_and_of_much_an_end() -> None:
    expected = torch.tensor([0.1, math.log(0.01)]).expand(3, 2)
    assert surprise(torch.tensor([0.1, 0.9, -0.9]), expected).tolist() == pytest.approx([127.5, 255, 0])


@pytest.mark.parametrize("output", [Gaussian(), Gaussian(mixtures=3), LogisticMixture(mixtures=2)])
def test_what_moves_a_mixture_keeps_its_probabilities(output: Gaussian | LogisticMixture) -> None:
    parameters = torch.randn(1, output.channels, generator=torch.Generator().manual_seed(3))
    moved = output.around(parameters, torch.tensor([[0.05, math.log(0.002)]]))
    grid = torch.arange(output.values)
    mass = output.log_mass(moved.expand(len(grid), -1), grid, grid + 1).double().exp()
    assert mass.sum().item() == pytest.approx(1, abs=1e-4)
    values = output.value_of(grid).double()
    if output == Gaussian():
        assert (mass * values).sum().item() == pytest.approx(0.05 + 0.002 * parameters[0, 0].item(), abs=1e-5)


def test_the_training_path_computes_what_the_definition_does() -> None:
    model, wave = network(), process(900)
    told = Condition(frames=MEL.of(wave))
    expected = model(wave, told)
    field = model.receptive_field
    start, _ = model.predictions(torch.nn.functional.pad(wave, (field, 0)), told)
    torch.testing.assert_close(start.transpose(0, 1), expected, atol=1e-5, rtol=1e-5)
    middle, _ = model.predictions(wave[:, 100:], told.later(100 + field))
    torch.testing.assert_close(middle.transpose(0, 1), expected[:, 100 + field :], atol=1e-5, rtol=1e-5)


def test_nothing_depends_on_what_is_yet_to_come_nor_on_what_lies_before_the_receptive_field() -> None:
    model, wave = network(), process(600)
    told = Condition(frames=MEL.of(wave))
    at, field = 300, model.receptive_field
    assert model.field.size == field == model.config.receptive_field
    before = model(wave, told)
    changed = wave.clone()
    changed[:, at] += 0.1
    moved = (model(changed, told) - before).abs().amax(2)[0]
    assert moved[: at + 1].max() == 0 < moved[at + 1]
    assert moved[at + field] > 0
    assert moved[at + field + 1 :].max() == 0


def test_it_learns_in_bfloat16_but_expects_in_float32() -> None:
    model, wave = network(), process(900)
    told = Condition(frames=MEL.of(wave))
    exact = model.prior(wave, told)
    assert torch.equal(exact, model.prior(model.config.output.quantise(wave), told))  # nothing finer is ever drawn
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model.prior(wave, told), exact)
        model.nll(wave, told).mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


def test_before_it_has_learnt_anything_the_network_believes_the_predictor() -> None:
    wave = process(20_000)
    told = Condition(frames=MEL.of(wave))
    shape = {"dilations": (1, 2, 4), "residual_channels": 8, "gate_channels": 16, "skip_channels": 8}
    fresh = WaveNet(WaveNetConfig(**shape, frames=MEL, output=Gaussian(mixtures=10)))
    plain = WaveNet(WaveNetConfig(**shape, frames=Mel(hop=50, n_fft=256, channels=40), output=Gaussian(mixtures=10)))
    bits = [model.nll(wave, told).mean().item() / math.log(2) for model in (fresh, plain)]
    assert bits[0] < bits[1] - 1


def test_codes_cannot_be_moved_so_they_take_no_predictor() -> None:
    with pytest.raises(ValueError, match="must be a mixture"):
        small_network(frames=MEL, output=Categorical())


def test_labels_and_a_predictor_go_together() -> None:
    model = network(labels=Labels(names=("a", "b"), width=4))
    wave = process(300)
    told = Condition(torch.tensor([1]), MEL.of(wave))
    assert model(wave, told).isfinite().all()
