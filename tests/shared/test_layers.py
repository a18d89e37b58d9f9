"""Dilated layers: the past never hears of the future, no axis changes its length, weights are torch's own."""

from math import prod

import pytest
import torch
from torch import nn

from shared.layers import CONVOLUTIONS, CausalConv1d, DilatedConvNet, DilatedResidualBlock, dilated_conv
from shared.schedules import exponential

LENGTH = 60
TIME = {"dimensions": 1, "causal": True}
CAUSAL = {
    "layer of kernel 1": lambda: CausalConv1d(2, 3, 1),
    "layer of kernel 2": lambda: CausalConv1d(2, 3, 2, dilation=4),
    "layer of kernel 3": lambda: CausalConv1d(2, 3, 3, dilation=2),
    "stack of kernel 2": lambda: DilatedConvNet(2, 3, exponential(4), kernel_size=2, **TIME),
    "stack of kernel 3": lambda: DilatedConvNet(2, 3, (1, 2, 5), kernel_size=3, **TIME),
}


@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("now", [0, 1, 17, LENGTH - 2])
def test_changing_the_future_never_changes_the_past(name: str, now: int) -> None:
    layer, x = CAUSAL[name](), torch.randn(1, 2, LENGTH)
    other = x.clone()
    other[..., now + 1 :] = torch.randn(1, 2, LENGTH - now - 1) * 100
    before, after = layer(x), layer(other)
    assert torch.equal(before[..., : now + 1], after[..., : now + 1])
    assert not torch.equal(before, after)


@pytest.mark.parametrize("name", CAUSAL)
def test_the_jacobian_over_time_is_triangular(name: str) -> None:
    layer = CAUSAL[name]()
    jacobian = torch.autograd.functional.jacobian(lambda x: layer(x).sum((0, 1)), torch.randn(1, 2, 24))
    reach = jacobian.abs().sum((1, 2))  # [output time, input time]
    assert torch.equal(reach.triu(1), torch.zeros(24, 24))
    assert (reach.diagonal() > 0).any()


@pytest.mark.parametrize("kernel_size", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 7])
@pytest.mark.parametrize("length", [1, 2, 50])
def test_a_causal_layer_keeps_the_length_even_where_its_field_is_longer(
    kernel_size: int, dilation: int, length: int
) -> None:
    assert CausalConv1d(2, 3, kernel_size, dilation)(torch.randn(4, 2, length)).shape == (4, 3, length)


def test_before_the_start_a_causal_layer_hears_zeros() -> None:
    layer, x = CausalConv1d(2, 3, 3, dilation=4), torch.randn(1, 2, 30)
    silence = torch.zeros(1, 2, 11)
    torch.testing.assert_close(layer(torch.cat([silence, x], -1))[..., 11:], layer(x))


def test_valid_outputs_are_those_whose_whole_field_is_given() -> None:
    layer, x = CausalConv1d(2, 3, 3, dilation=4), torch.randn(1, 2, 30)
    assert layer.field.history == 8
    torch.testing.assert_close(layer.valid(x), layer(x)[..., 8:])


@pytest.mark.parametrize("bias", [True, False])
def test_the_weights_of_a_causal_layer_are_those_of_conv1d(bias: bool) -> None:
    ours, theirs = CausalConv1d(2, 3, 2, dilation=5, bias=bias), nn.Conv1d(2, 3, 2, dilation=5, bias=bias)
    assert isinstance(ours, nn.Conv1d)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 2, 40)
    torch.testing.assert_close(ours(x)[..., 5:], theirs(x))


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_a_centred_layer_is_torchs_own_convolution_with_its_weights(dimensions: int) -> None:
    layer = dilated_conv(dimensions, 2, 3, kernel_size=3, dilation=2)
    plain = CONVOLUTIONS[dimensions](2, 3, 3, dilation=2, padding=2)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(1, 2, *[9] * dimensions)
    torch.testing.assert_close(layer(x), plain(x))


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 1), (3, 1), (3, 4), (5, 2)])
def test_resolution_is_kept_in_every_dimension(dimensions: int, kernel_size: int, dilation: int) -> None:
    axes = (7, 8, 9)[:dimensions]
    x = torch.randn(2, 3, *axes)
    layers = (
        dilated_conv(dimensions, 3, 5, kernel_size, dilation),
        DilatedResidualBlock(3, 5, kernel_size, dilation, dimensions),
        DilatedConvNet(3, 5, (dilation, 1), channels=4, kernel_size=kernel_size, dimensions=dimensions),
    )
    for layer in layers:
        assert layer(x).shape == (2, 5, *axes)


@pytest.mark.parametrize("kernel_size", [2, 4])
def test_an_even_kernel_has_no_centre_and_is_refused_at_construction(kernel_size: int) -> None:
    for layer in (dilated_conv, lambda *sizes: DilatedResidualBlock(*sizes[1:])):
        with pytest.raises(ValueError, match=f"odd kernel, not {kernel_size}"):
            layer(2, 1, 1, kernel_size)
    with pytest.raises(ValueError, match=f"odd kernel, not {kernel_size}"):
        DilatedConvNet(1, 1, (1, 2), kernel_size=kernel_size)


def test_only_time_has_a_past() -> None:
    with pytest.raises(ValueError, match="causal needs dimensions=1, not 2"):
        DilatedConvNet(1, 1, (1, 2), causal=True)


def test_a_residual_block_begins_as_its_shortcut_when_its_second_norm_is_zero() -> None:
    block, x = DilatedResidualBlock(4, 4, dilation=2), torch.rand(1, 4, 9, 9)
    nn.init.zeros_(block.norm2.weight)
    torch.testing.assert_close(block(x), x)
    assert isinstance(block.shortcut, nn.Identity)
    assert DilatedResidualBlock(4, 8).shortcut.weight.shape == (8, 4, 1, 1)


def test_no_convolution_before_a_batch_norm_has_a_bias() -> None:
    block = DilatedResidualBlock(4, 4)
    assert block.conv1.bias is None
    assert block.conv2.bias is None


@pytest.mark.parametrize("causal", [True, False])
def test_a_net_has_one_convolution_a_dilation_with_relu_between_and_none_at_the_end(causal: bool) -> None:
    dilations = (1, 2, 4)
    net = DilatedConvNet(2, 3, dilations, channels=5, kernel_size=3, dimensions=1, causal=causal)
    assert [type(layer) is nn.ReLU for layer in net] == [False, True, False, True, False]
    convs = [layer for layer in net if not isinstance(layer, nn.ReLU)]
    assert [conv.dilation for conv in convs] == [(1,), (2,), (4,)]
    weights = 5 * 2 * 3 + 5 * 5 * 3 + 3 * 5 * 3
    assert sum(prod(conv.weight.shape) for conv in convs) == weights


def test_every_parameter_gets_a_gradient() -> None:
    for layer in (DilatedResidualBlock(3, 4), DilatedConvNet(3, 4, (1, 2))):
        layer(torch.randn(2, 3, 12, 12)).square().sum().backward()
        assert all(parameter.grad is not None for parameter in layer.parameters())
