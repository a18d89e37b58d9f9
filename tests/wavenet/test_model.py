"""One rule: the output at t describes sample t and is computed from the samples before it."""

import pytest
import torch
from torch import nn

from shared.errors import InputError
from shared.schedules import exponential, fibonacci, prime
from tests.wavenet.networks import small_network
from wavenet.distributions import Categorical
from wavenet.model import PRESETS, WaveNet, WaveNetConfig


class Dense(nn.Module):
    """The network as a real function of a real wave: its table of codes replaced by a smooth map."""

    def __init__(self, model: WaveNet):
        super().__init__()
        self.model, self.lift = model, nn.Linear(1, model.config.residual_channels)
        model.input = nn.Identity()

    def forward(self, wave):
        encode = Categorical.encode
        try:
            Categorical.encode = lambda _, samples: self.lift(samples[..., None])
            return self.model(wave)
        finally:
            Categorical.encode = encode


def jacobian(model: WaveNet, length: int) -> torch.Tensor:
    """Booleans ``[output time, input time]``: does that output change with that input?"""
    function = Dense(model).double()
    wave = torch.rand(1, length, dtype=torch.float64)
    slopes = torch.autograd.functional.jacobian(lambda x: function(x)[0].sum(-1), wave)[:, 0]
    return slopes != 0


def test_no_prediction_sees_the_present_or_the_future(network):
    seen = jacobian(network, network.receptive_field + 20)
    assert not seen.triu().any()


def test_a_prediction_sees_its_whole_receptive_field_and_nothing_before(network):
    field = network.receptive_field
    seen = jacobian(network, field + 20)
    reach = [int(at - seen[at].nonzero()[0, 0]) for at in range(field, field + 20)]
    assert reach == [field] * 20


@pytest.mark.parametrize("dilations", [exponential(4, 2), fibonacci(5), prime(4), (3,), (5, 1)], ids=str)
@pytest.mark.parametrize("kernel_size", [2, 3])
def test_the_declared_receptive_field_is_the_one_the_gradient_shows(dilations, kernel_size):
    model = small_network(dilations=dilations, kernel_size=kernel_size)
    assert model.receptive_field == model.config.receptive_field
    seen = jacobian(model, model.receptive_field + 1)[-1].nonzero()[:, 0]
    assert int(seen[0]) == 0
    assert int(seen[-1]) == model.receptive_field - 1


def test_base_is_the_published_network():
    config = PRESETS["base"]
    assert config.dilations == tuple(2**i for i in range(10)) * 3
    assert config.receptive_field == 3070
    assert config.receptive_field / WaveNet.sample_rate == pytest.approx(0.19, abs=0.01)


def test_before_a_recording_there_is_silence(network):
    wave = torch.rand(2, 30) * 2 - 1
    silent = torch.zeros(2, 50)
    behind_silence = network(torch.cat([silent, wave], dim=1))[:, 50:]
    torch.testing.assert_close(network(wave), behind_silence)


def test_every_parameter_has_a_gradient(network):
    network.nll(torch.rand(2, network.receptive_field + 300) * 2 - 1).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_a_new_model_knows_nothing():
    model = WaveNet(PRESETS["tiny"])
    nats = model.nll(torch.rand(1, model.receptive_field + 10) * 2 - 1)
    torch.testing.assert_close(nats, torch.full_like(nats, 256.0).log())


@pytest.mark.parametrize(
    "wrong",
    [{"dilations": ()}, {"dilations": (0,)}, {"kernel_size": 0}, {"gate_channels": 7}, {"dilations": (2**30,)}],
    ids=str,
)
def test_an_impossible_shape_is_refused(wrong):
    with pytest.raises(ValueError, match=r"must|beyond"):
        WaveNetConfig(**wrong)


def test_a_saved_model_is_rebuilt_from_its_folder(tmp_path, network):
    network.save_pretrained(tmp_path / "model")
    again = WaveNet.from_pretrained(tmp_path / "model")
    wave = torch.rand(1, 50)
    assert again.config == network.config
    assert torch.equal(again(wave), network(wave))


def test_a_folder_without_a_model_is_one_clear_line(tmp_path):
    with pytest.raises(InputError, match=r"holds no model.*training") as caught:
        WaveNet.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)
