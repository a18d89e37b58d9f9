"""The effective field of random weights is what the count of paths says, and it lies within the true one."""

import math

import pytest
import torch
from torch import nn

from shared import rf
from shared.rf.measured import effective


def random_stack(dilations: tuple[int, ...], kernel_size: int = 3, channels: int = 16) -> nn.Sequential:
    layers = [
        nn.Conv1d(channels, channels, kernel_size, padding=rate * (kernel_size // 2), dilation=rate, bias=False)
        for rate in dilations
    ]
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize("dilations", [(1,) * 15, (1, 2, 3, 4, 5), (1, 2, 4, 8)])
def test_random_weights_spread_as_the_paths_do(dilations: tuple[int, ...]) -> None:
    sigmas = []
    for _ in range(12):
        result = effective(random_stack(dilations), torch.randn(1, 16, 64, dtype=torch.float64))
        assert result.axes[0].field == 31
        sigmas.append(result.axes[0].sigma)
    expected = math.sqrt(sum(rate**2 * 8 / 12 for rate in dilations))
    assert sum(sigmas) / len(sigmas) == pytest.approx(expected, rel=0.08)
    assert rf.variance(3, dilations) == pytest.approx(expected**2)


def test_all_influence_lies_within_the_field() -> None:
    result = effective(random_stack((1, 4)), torch.randn(2, 16, 41, dtype=torch.float64))
    read = [at for at in range(41) if at - 20 in rf.stack(3, [1, 4])]
    assert float(result.influence[read].sum()) == pytest.approx(1.0)
    assert 0 < result.axes[0].ratio <= 1


def test_a_picture_has_an_effective_field_along_each_axis() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, (1, 5), bias=False), nn.Conv2d(1, 1, (3, 1), bias=False))
    nn.init.ones_(model[0].weight)
    nn.init.ones_(model[1].weight)
    result = effective(model, torch.randn(1, 1, 12, 12))
    assert [each.field for each in result.axes] == [3, 5]
    assert [each.sigma for each in result.axes] == pytest.approx([math.sqrt(2 / 3), math.sqrt(2)], rel=1e-5)
    assert [each.width95 for each in result.axes] == [3, 5]
    assert str(result).splitlines()[0] == "σ 0.82, 95 % within 3, 100% of the field of 3"


def test_measuring_leaves_mode_and_gradients_alone() -> None:
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2)).train()
    effective(model, torch.randn(4, 1, 20))
    assert model.training
    assert model[1].num_batches_tracked == 0
    assert all(parameter.grad is None for parameter in model.parameters())
