"""What layers and networks declare is what the gradient shows, hole for hole."""

import pytest
import torch
from torch import Tensor, nn

from shared.layers import CausalConv1d, DilatedConvNet, DilatedResidualBlock, dilated_conv
from shared.rf import Field, stack, through
from shared.rf.judge import influence, measured_window
from shared.schedules import exponential, fibonacci, linear, prime

SCHEDULES = [exponential(4), exponential(3, stacks=2), fibonacci(5), linear(4), prime(4), (1, 2, 5), (3,), (2, 6)]


def sound(field: Field, channels: int = 1) -> Tensor:
    """Twice as long as the field, so that its middle sees all of it."""
    return torch.rand(1, channels, 2 * field.size + 6)


@pytest.mark.parametrize("kernel_size", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2, 5, 16])
def test_a_causal_layer_sees_its_declared_field(kernel_size: int, dilation: int) -> None:
    layer = CausalConv1d(2, 3, kernel_size, dilation)
    assert measured_window(layer, sound(layer.field, channels=2)) == layer.field
    assert layer.field.lookahead == 0


@pytest.mark.parametrize("kernel_size", [2, 3])
def test_a_causal_layer_sees_its_taps_and_nothing_between_them(kernel_size: int) -> None:
    layer = CausalConv1d(1, 1, kernel_size, dilation=4)
    seen = influence(layer, torch.rand(1, 1, 20), at=(15,)).nonzero()[:, 0].tolist()
    assert seen == [15 - 4 * tap for tap in reversed(range(kernel_size))]


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 1), (3, 1), (3, 2), (5, 1)])
def test_a_centred_layer_sees_its_declared_field_along_every_axis(
    dimensions: int, kernel_size: int, dilation: int
) -> None:
    layer = dilated_conv(dimensions, 1, 2, kernel_size, dilation)
    x = torch.rand(1, 1, *range(11, 11 + dimensions))
    for axis in range(dimensions):
        assert measured_window(layer, x, axis) == layer.field


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 1), (3, 1), (3, 3), (5, 2)])
@pytest.mark.parametrize("out_channels", [4, 6])
def test_a_residual_block_sees_its_declared_field(
    dimensions: int, kernel_size: int, dilation: int, out_channels: int
) -> None:
    block = DilatedResidualBlock(4, out_channels, kernel_size, dilation, dimensions).eval()
    assert block.field.size == 1 + 2 * (kernel_size - 1) * dilation
    x = torch.rand(1, 4, *[block.field.size + 8] * dimensions)
    for axis in range(dimensions):
        assert measured_window(block, x, axis) == block.field


def bright(net: nn.Module) -> nn.Module:
    """No bias, which could hold a ReLU shut and hide a connection from the gradient."""
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    return net


@pytest.mark.parametrize("dilations", SCHEDULES)
@pytest.mark.parametrize("kernel_size", [1, 2, 3])
def test_a_causal_net_sees_its_declared_field(dilations: tuple[int, ...], kernel_size: int) -> None:
    net = DilatedConvNet(1, 2, dilations, channels=4, kernel_size=kernel_size, dimensions=1, causal=True)
    assert net.field == stack(kernel_size, dilations, causal=True)
    assert measured_window(bright(net), sound(net.field)) == net.field


@pytest.mark.parametrize("dilations", SCHEDULES)
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_a_centred_net_sees_its_declared_field(dilations: tuple[int, ...], kernel_size: int) -> None:
    net = DilatedConvNet(1, 2, dilations, channels=4, kernel_size=kernel_size, dimensions=1)
    assert net.field == stack(kernel_size, dilations)
    assert measured_window(bright(net), sound(net.field)) == net.field


@pytest.mark.parametrize("dilations", [(1, 2, 4), (1, 2, 5)])
def test_a_centred_net_of_images_sees_its_declared_field(dilations: tuple[int, ...]) -> None:
    net = bright(DilatedConvNet(3, 2, dilations, channels=4))
    x = torch.rand(1, 3, net.field.size + 6, net.field.size + 9)
    for axis in (0, 1):
        assert measured_window(net, x, axis) == net.field


def test_wavenets_schedule_sees_3070_samples_by_its_gradient_too() -> None:
    net = DilatedConvNet(
        1, 1, exponential(10, stacks=3), channels=2, kernel_size=2, dimensions=1, causal=True
    ).double()  # a path through 30 layers multiplies 30 weights
    x = torch.rand(1, 1, 6200, dtype=torch.float64)
    assert measured_window(bright(net), x) == Field(3070, 1, -3069)


def test_strides_and_pooling_measure_as_declared() -> None:
    first, last = nn.Conv1d(1, 2, 3, stride=2, padding=1), nn.Conv1d(2, 1, 3, padding=1)
    layers = nn.Sequential(first, nn.AvgPool1d(2), last)
    pooling = Field.conv(2, stride=2)
    declared = through(Field.conv(3, stride=2, padding=1), pooling, Field.conv(3, padding=1))
    assert measured_window(bright(layers), torch.rand(1, 1, 64)) == declared


def test_measuring_leaves_the_weights_as_they_were() -> None:
    net = DilatedConvNet(1, 2, (1, 2), channels=4)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    measured_window(net, torch.rand(1, 1, 20, 20))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
