"""The training path computes what the obvious path computes, and so does its gradient."""

import pytest
import torch

from tests.wavenet.networks import small_network


def obvious_nll(model, wave):
    return model.config.output.nll(model(wave), wave)[:, model.receptive_field :]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("targets", [1, 5, 64])
def test_likelihood_and_gradient_equal_those_of_the_obvious_path(network, batch, targets):
    model = network.double()
    wave = torch.rand(batch, model.receptive_field + targets, dtype=torch.float64) * 2 - 1
    weight = torch.rand(batch, targets, dtype=torch.float64)
    fast, slow = model.nll(wave), obvious_nll(model, wave)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-5)  # the likelihood itself is taken in float32
    parameters = list(model.parameters())
    fast_gradients = torch.autograd.grad((fast * weight).sum(), parameters)
    slow_gradients = torch.autograd.grad((slow * weight).sum(), parameters)
    for mine, true in zip(fast_gradients, slow_gradients, strict=True):
        torch.testing.assert_close(mine, true, atol=1e-5 * float(true.abs().max() + 1), rtol=1e-5)


@pytest.mark.parametrize(
    ("precision", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05)], ids=["float32", "bfloat16"]
)
def test_in_working_precision_it_stays_near_the_truth(precision, tolerance, device):
    model = small_network(dilations=(1, 2, 4, 8), residual_channels=32, gate_channels=48, skip_channels=40)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.4)
    wave = torch.rand(2, model.receptive_field + 500) * 2 - 1
    model.to(device)
    with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
        fast = model.nll(wave.to(device))
    gradients = torch.autograd.grad(fast.mean(), list(model.parameters()))
    truth = small_network(dilations=(1, 2, 4, 8), residual_channels=32, gate_channels=48, skip_channels=40).double()
    truth.load_state_dict(model.state_dict())
    slow = obvious_nll(truth, wave.double())
    expected = torch.autograd.grad(slow.mean(), list(truth.parameters()))
    assert float(((fast.cpu().double() - slow).abs().mean() / slow.abs().mean()).detach()) < tolerance
    for mine, true in zip(gradients, expected, strict=True):
        mine = mine.cpu()
        assert float((mine.double() - true).norm() / true.norm()) < 2 * tolerance


def test_a_dilation_longer_than_the_excerpt_is_no_special_case():
    model = small_network(dilations=(1, 64, 2), kernel_size=2)
    wave = torch.rand(2, model.receptive_field + 3) * 2 - 1
    torch.testing.assert_close(model.nll(wave), obvious_nll(model, wave), atol=1e-4, rtol=1e-4)
    gradients = torch.autograd.grad(model.nll(wave).sum(), list(model.parameters()))
    expected = torch.autograd.grad(obvious_nll(model, wave).sum(), list(model.parameters()))
    for mine, true in zip(gradients, expected, strict=True):
        torch.testing.assert_close(mine, true, atol=1e-3, rtol=1e-3)
