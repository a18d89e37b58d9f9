"""Receptive fields: the arithmetic gives the known answers, and the gradient agrees with every layer."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from shared.layers import CausalConv1d, DilatedConvNet, DilatedResidualBlock, dilated_conv
from shared.rf import Window, stack, through
from shared.rf.gradient import influence, measured_window
from shared.schedules import exponential, fibonacci, linear, prime

windows = st.builds(Window, st.integers(1, 40), st.integers(1, 4), st.integers(-40, 40))
schedules = st.lists(st.integers(1, 64), min_size=1, max_size=8)
SCHEDULES = [exponential(4), exponential(3, stacks=2), fibonacci(5), linear(4), prime(4), (1, 2, 5), (3,)]


def sound(window: Window, channels: int = 1) -> Tensor:
    """Twice as long as the window, so that its middle sees all of it."""
    return torch.rand(1, channels, 2 * window.size + 6)


@pytest.mark.parametrize(
    ("kernel_size", "dilations", "size"),
    [(3, exponential(10), 2047), (2, exponential(10), 1024), (2, exponential(10, stacks=3), 3070)],
)
def test_known_stacks_see_what_the_literature_says(kernel_size: int, dilations: tuple[int, ...], size: int) -> None:
    assert stack(kernel_size, dilations, causal=True).size == size
    causal = through(*(Window.causal(kernel_size, dilation) for dilation in dilations))
    assert causal == stack(kernel_size, dilations, causal=True)
    assert (causal.history, causal.lookahead) == (size - 1, 0)


def test_dilations_1_2_4_8_of_a_3x3_kernel_span_3_5_9_17_and_together_31() -> None:
    layers = [dilated_conv(2, 1, 1, kernel_size=3, dilation=dilation).window for dilation in (1, 2, 4, 8)]
    assert [layer.size for layer in layers] == [3, 5, 9, 17]
    assert through(*layers) == stack(3, [1, 2, 4, 8]) == Window(31, 1, -15)


@given(windows, windows, windows)
@settings(deadline=None)
def test_windows_compose_in_any_grouping_and_a_window_of_one_changes_nothing(a: Window, b: Window, c: Window) -> None:
    assert a.then(b).then(c) == a.then(b.then(c)) == through(a, b, c)
    assert Window().then(a) == a == a.then(Window())
    assert through() == Window()


@given(windows, windows, st.integers(-9, 9))
@settings(deadline=None)
def test_a_composed_window_sees_what_its_two_layers_see(first: Window, second: Window, at: int) -> None:
    def seen(window: Window, output: int) -> tuple[int, int]:
        begin = output * window.jump + window.offset
        return begin, begin + window.size

    middle_begin, middle_end = seen(second, at)
    begin, end = seen(first, middle_begin)[0], seen(first, middle_end - 1)[1]
    assert seen(first.then(second), at) == (begin, end)


@given(st.integers(1, 7), schedules)
@settings(deadline=None)
def test_a_stack_is_the_fold_of_its_layers(kernel_size: int, dilations: list[int]) -> None:
    causal = [Window.causal(kernel_size, dilation) for dilation in dilations]
    assert stack(kernel_size, dilations, causal=True) == through(*causal)
    odd = 2 * (kernel_size // 2) + 1
    centred = [Window.conv(odd, dilation=each, padding=(odd - 1) // 2 * each) for each in dilations]
    assert stack(odd, dilations) == through(*centred)
    assert stack(odd, dilations).history == stack(odd, dilations).lookahead


@pytest.mark.parametrize("kernel_size", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2, 5, 16])
def test_a_causal_layer_sees_its_declared_window(kernel_size: int, dilation: int) -> None:
    layer = CausalConv1d(2, 3, kernel_size, dilation)
    assert measured_window(layer, sound(layer.window, channels=2)) == layer.window
    assert layer.window.lookahead == 0


@pytest.mark.parametrize("kernel_size", [2, 3])
def test_a_causal_layer_sees_its_taps_and_nothing_between_them(kernel_size: int) -> None:
    layer = CausalConv1d(1, 1, kernel_size, dilation=4)
    seen = influence(layer, torch.rand(1, 1, 20), at=(15,)).nonzero()[:, 0].tolist()
    assert seen == [15 - 4 * tap for tap in reversed(range(kernel_size))]


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 1), (3, 1), (3, 2), (5, 1)])
def test_a_centred_layer_sees_its_declared_window_along_every_axis(
    dimensions: int, kernel_size: int, dilation: int
) -> None:
    layer = dilated_conv(dimensions, 1, 2, kernel_size, dilation)
    x = torch.rand(1, 1, *range(11, 11 + dimensions))
    for axis in range(dimensions):
        assert measured_window(layer, x, axis) == layer.window


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 1), (3, 1), (3, 3), (5, 2)])
@pytest.mark.parametrize("out_channels", [4, 6])
def test_a_residual_block_sees_its_declared_window(
    dimensions: int, kernel_size: int, dilation: int, out_channels: int
) -> None:
    block = DilatedResidualBlock(4, out_channels, kernel_size, dilation, dimensions).eval()
    assert block.window.size == 1 + 2 * (kernel_size - 1) * dilation
    x = torch.rand(1, 4, *[block.window.size + 8] * dimensions)
    for axis in range(dimensions):
        assert measured_window(block, x, axis) == block.window


def bright(net: nn.Module) -> nn.Module:
    """No bias, which could hold a ReLU shut and hide a connection from the gradient."""
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    return net


@pytest.mark.parametrize("dilations", SCHEDULES)
@pytest.mark.parametrize("kernel_size", [1, 2, 3])
def test_a_causal_net_sees_its_declared_window(dilations: tuple[int, ...], kernel_size: int) -> None:
    net = DilatedConvNet(1, 2, dilations, channels=4, kernel_size=kernel_size, dimensions=1, causal=True)
    assert net.window == stack(kernel_size, dilations, causal=True)
    assert measured_window(bright(net), sound(net.window)) == net.window


@pytest.mark.parametrize("dilations", SCHEDULES)
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_a_centred_net_sees_its_declared_window(dilations: tuple[int, ...], kernel_size: int) -> None:
    net = DilatedConvNet(1, 2, dilations, channels=4, kernel_size=kernel_size, dimensions=1)
    assert net.window == stack(kernel_size, dilations)
    assert measured_window(bright(net), sound(net.window)) == net.window


@pytest.mark.parametrize("dilations", [(1, 2, 4), (1, 2, 5)])
def test_a_centred_net_of_images_sees_its_declared_window(dilations: tuple[int, ...]) -> None:
    net = bright(DilatedConvNet(3, 2, dilations, channels=4))
    x = torch.rand(1, 3, net.window.size + 6, net.window.size + 9)
    for axis in (0, 1):
        assert measured_window(net, x, axis) == net.window


def test_wavenets_schedule_sees_3070_samples_by_its_gradient_too() -> None:
    net = DilatedConvNet(
        1, 1, exponential(10, stacks=3), channels=2, kernel_size=2, dimensions=1, causal=True
    ).double()  # a path through 30 layers multiplies 30 weights
    x = torch.rand(1, 1, 6200, dtype=torch.float64)
    assert measured_window(bright(net), x) == Window(3070, 1, -3069)


def test_strides_and_pooling_measure_as_declared() -> None:
    first, last = nn.Conv1d(1, 2, 3, stride=2, padding=1), nn.Conv1d(2, 1, 3, padding=1)
    layers = nn.Sequential(first, nn.AvgPool1d(2), last)
    pooling = Window.conv(2, stride=2)
    declared = through(Window.conv(3, stride=2, padding=1), pooling, Window.conv(3, padding=1))
    assert measured_window(bright(layers), torch.rand(1, 1, 64)) == declared


def test_measuring_leaves_the_weights_as_they_were() -> None:
    net = DilatedConvNet(1, 2, (1, 2), channels=4)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    measured_window(net, torch.rand(1, 1, 20, 20))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
