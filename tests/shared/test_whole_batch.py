"""Layers and losses of a batch that processes share compute what one process computes of the whole batch."""

import math

import pytest
import torch
from torch import nn

from segmentation.losses import OHEM, CrossEntropy, Dice, Focal, Sum
from shared.errors import InputError
from shared.training.processes import Team, joined
from shared.training.whole_batch import ALL_ROWS, Rows, look_at_whole_batches
from tests.teams import as_team

BATCH = 5  # for two processes: 2 and 3 rows
CLASSES = 3
LOSSES = [
    CrossEntropy(),
    CrossEntropy(weights="median", class_weights=(0.2, 1.0, 3.0)),
    Focal(gamma=1.5),
    OHEM(threshold=0.5),
    OHEM(threshold=0.01, least=0.3),  # too few are hard: the hardest of all processes' pixels are chosen
    Dice(),
    Sum(first=OHEM(), second=Dice(), factor=0.5),
]


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Conv2d(16, CLASSES, 1),
    )


def batch(layout):
    random = torch.Generator().manual_seed(1)
    images = (3 + torch.randn(BATCH, 3, 6, 7, generator=random)).to(memory_format=layout)
    masks = torch.randint(0, CLASSES, (BATCH, 6, 7), generator=random)
    masks[1] = 255  # all of a row ignored
    masks[3, :5] = 255
    return images, masks


def worked(rows, loss, dtype, layout, precision=None):
    """The loss of a step, its gradients, and the statistics that it leaves."""
    model = network().to(dtype)
    look_at_whole_batches(model, rows)
    model.train().to(memory_format=layout)
    images, masks = (each[rows.own.start : rows.own.stop] for each in batch(layout))
    torch.manual_seed(7)
    with torch.autocast("cpu", dtype=precision, enabled=precision is not None):
        value = loss(model(images.to(dtype)), masks, rows=rows)
    (value / rows.team.size).backward()
    rows.team.add_up(list(model.parameters()), 0.0)
    gradients = {name: each.grad for name, each in model.named_parameters()}
    return {"loss": value.detach(), **gradients, **dict(model.named_buffers())}


def as_process(folder, *case):
    torch.set_num_threads(1)
    with joined("cpu") as team:
        torch.save(worked(Rows(team, BATCH), *case), folder / str(team.rank))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_a_step_of_two_processes_is_that_of_one(loss, layout, tmp_path):
    whole = worked(Rows(batch=BATCH), loss, torch.float64, layout)
    assert as_team(2, as_process, tmp_path, loss, torch.float64, layout) == [0, 0]
    for rank in range(2):
        found = torch.load(tmp_path / str(rank))
        assert found.keys() == whole.keys()
        for name, value in whole.items():
            torch.testing.assert_close(
                found[name], value, rtol=1e-10, atol=1e-12, msg=lambda text, at=name: f"{at} {text}"
            )


@pytest.mark.parametrize(("precision", "allowed"), [(None, 1e-5), (torch.bfloat16, 0.02)])
def test_of_four_processes_the_last_has_what_one_has(precision, allowed, tmp_path):
    case = CrossEntropy(), torch.float32, torch.channels_last, precision
    whole = worked(Rows(batch=BATCH), *case)
    assert as_team(4, as_process, tmp_path, *case) == [0] * 4
    for name, value in whole.items():
        scale = float(value.abs().max())
        torch.testing.assert_close(torch.load(tmp_path / "3")[name], value, rtol=allowed, atol=allowed * scale)


def test_the_batchs_own_statistics_are_not_each_processs():
    """What the proof above would catch: statistics of own rows alone."""
    case = CrossEntropy(), torch.float64, torch.contiguous_format
    whole = worked(Rows(batch=BATCH), *case)["1.running_mean"]
    model = network().double().train()
    model(batch(torch.contiguous_format)[0][:2].double())
    assert not torch.allclose(model[1].running_mean, whole, rtol=1e-3)


def test_alone_nothing_is_replaced():
    model = network()
    before = list(map(type, model.modules()))
    look_at_whole_batches(model, ALL_ROWS)
    assert list(map(type, model.modules())) == before
    values = torch.ones(2, requires_grad=True)
    assert ALL_ROWS.total(values) is values


def test_weights_keep_their_names_and_evaluation_is_as_ever():
    model, team = network().eval(), Team(rank=0, size=2)
    weights, images = model.state_dict(), batch(torch.contiguous_format)[0]
    expected = model(images)
    look_at_whole_batches(model, Rows(team, BATCH))
    assert list(model.state_dict()) == list(weights)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "1.weight", "1.bias", "4.weight", "4.bias"]
    torch.testing.assert_close(model.eval()(images), expected, rtol=0, atol=0)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_each_row_is_one_processs(size):
    shares = [Rows(Team(rank=rank, size=size), BATCH).own for rank in range(size)]
    assert [row for share in shares for row in share] == list(range(BATCH))
    assert all(len(share) in (BATCH // size, math.ceil(BATCH / size)) for share in shares)


def test_a_batch_too_small_to_share_is_refused():
    with pytest.raises(InputError, match=r"6 processes cannot share a batch of 5.*train\.batch=6"):
        Rows(Team(size=6), BATCH).check()
