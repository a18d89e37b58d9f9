"""The judge finds every connection, whatever the weights, and says where an answer is wrong."""

import copy

import pytest
import torch
import torch.nn.functional as F
import torchvision.models as zoo
from torch import Tensor, nn

from shared.rf.judge import connections, influence, verify
from shared.rf.reach import of


def judged(model: nn.Module, shape: tuple[int, ...], at: tuple[int, ...]) -> Tensor:
    """What the judge says one output position reads of any channel."""
    result = of(model.eval(), shape).network.output.shape[1:]
    unit = torch.zeros(1, *result)
    unit[(0, slice(None), *at)] = 1
    return connections(model, shape, unit, lambda y: y)[0].any(0)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (zoo.resnet18(), (3, 64, 64)),
        (
            nn.Sequential(nn.Conv1d(2, 4, 3, stride=2), nn.BatchNorm1d(4), nn.ReLU(), nn.ConvTranspose1d(4, 1, 4, 2)),
            (2, 40),
        ),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten()), (1, 9, 9)),
    ],
    ids=["ResNet-18", "strides and norms", "global"],
)
def test_the_judge_and_the_walk_agree(model: nn.Module, shape: tuple[int, ...]) -> None:
    assert verify(model, shape, units=5) >= 1


def test_verifying_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2)).train()
    before = copy.deepcopy(model.state_dict())
    verify(model, (1, 12))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_wrong_answer_is_named_by_its_position() -> None:
    wide, narrow = nn.Conv1d(1, 1, 5, padding=2), nn.Conv1d(1, 1, 3, padding=1)
    with pytest.raises(AssertionError, match=r"output position \(0,\): 0 inputs read but not named, 1 named but not"):
        verify(narrow, (1, 9), reach=of(wide, (1, 9)))
    with pytest.raises(AssertionError, match=r"output position \(0,\): 1 inputs read but not named, 0 named but not"):
        verify(wide, (1, 9), reach=of(narrow, (1, 9)))


def test_an_answer_that_is_only_a_bound_is_not_verified() -> None:
    class Median(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.rfft(x).real

    with pytest.raises(AssertionError, match="not exact: there is no rule for _fft_r2c"):
        verify(Median(), (1, 8))


def test_zero_inputs_and_dead_gates_hide_nothing_from_the_judge() -> None:
    model = nn.Sequential(nn.Conv1d(1, 1, 3, padding=1), nn.ReLU(), nn.Conv1d(1, 1, 3, padding=1))
    nn.init.constant_(model[0].bias, -100.0)
    assert not influence(model, torch.zeros(1, 1, 11), at=(5,)).any()  # what a plain gradient says
    assert judged(model, (1, 11), (5,)).sum() == 5


def test_opposite_paths_do_not_cancel_for_the_judge() -> None:
    class Zero(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x - x

    assert not influence(Zero(), torch.randn(1, 1, 5), at=(2,)).any()
    assert judged(Zero(), (1, 5), (2,)).tolist() == [False, False, True, False, False]


def test_a_maximum_is_connected_to_all_of_its_window() -> None:
    assert influence(nn.MaxPool1d(4), torch.randn(1, 1, 8), at=(1,)).sum() == 1
    assert judged(nn.MaxPool1d(4), (1, 8), (1,)).sum() == 4


def test_deep_networks_neither_vanish_nor_overflow() -> None:
    convs = nn.Sequential(*(nn.Conv1d(1, 1, 3, padding=1) for _ in range(120)))
    assert judged(convs, (1, 260), (130,)).sum() == 241


def test_gates_of_thirty_layers_do_not_overflow() -> None:
    class Gates(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv1d(1, 2, 2, dilation=2 ** (at % 5)) for at in range(30))

        def forward(self, x: Tensor) -> Tensor:
            for conv in self.convs:
                a, b = conv(F.pad(x, (conv.dilation[0], 0))).chunk(2, 1)
                x = x + torch.tanh(a) * torch.sigmoid(b)
            return x

    model = Gates()
    assert judged(model, (1, 220), (219,)).sum() == 6 * 31 + 1 == of(model, (1, 220)).size[0]


def test_gradients_of_real_weights_never_go_beyond_the_answer() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3, dilation=2), nn.ReLU(), nn.Conv2d(4, 1, 3)).eval()
    reach = of(model, (1, 16, 16))
    seen = influence(model, torch.randn(1, 1, 16, 16), at=(4, 5))
    assert (reach.at((4, 5)).mask >= seen).all()
