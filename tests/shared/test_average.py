"""The average of the weights follows its recurrence and leaves the model's own weights alone."""

import pytest
import torch
from torch import nn

from shared.training.average import WeightAverage


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def copy(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def wander(model: nn.Module) -> None:
    """Change every weight and, through the batch norm, every buffer."""
    model(torch.randn(5, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_the_average_follows_its_recurrence(decay: float) -> None:
    model = net()
    average = WeightAverage(model, decay)
    expected = {name: value.double() for name, value in copy(model).items()}
    for update in range(1, 31):
        wander(model)
        average.update(model)
        keep = min(decay, (1 + update) / (10 + update))
        for name, value in model.state_dict().items():
            whole = not value.is_floating_point()
            expected[name] = value.double() if whole else keep * expected[name] + (1 - keep) * value.double()
    assert average.updates == 30
    for name, value in average.weights.items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-5)


def test_before_the_first_update_it_is_a_copy_of_the_model_and_not_the_model_itself() -> None:
    model = net()
    average = WeightAverage(model)
    before = copy(model)
    wander(model)
    assert all(torch.equal(value, before[name]) for name, value in average.weights.items())


def test_the_average_of_weights_that_stay_is_those_weights() -> None:
    model = net()
    average = WeightAverage(model)
    for _ in range(50):
        average.update(model)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(average.weights[name], value)


def test_early_on_the_first_random_weights_are_soon_forgotten() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    average = WeightAverage(model, decay=0.999)
    nn.init.zeros_(model.weight)
    for _ in range(20):
        average.update(model)
    assert float(average.weights["weight"]) < 1e-3  # with 0.999 from the start, 0.98 would be left


def test_counters_are_copied_not_averaged() -> None:
    model = net()
    average = WeightAverage(model)
    for _ in range(3):
        wander(model)
        average.update(model)
    assert average.weights["1.num_batches_tracked"].dtype == torch.int64
    assert int(average.weights["1.num_batches_tracked"]) == 3


def test_updating_leaves_the_model_as_it_was() -> None:
    model = net()
    average = WeightAverage(model)
    wander(model)
    before = copy(model)
    average.update(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("ends_by", ["leaving", "an error"])
def test_swapped_in_the_model_is_the_average_and_after_that_itself_bit_for_bit(ends_by: str) -> None:
    model = net()
    average = WeightAverage(model)
    for _ in range(3):
        wander(model)
        average.update(model)
    own, averaged = copy(model), {name: value.clone() for name, value in average.weights.items()}
    try:
        with average.swapped_in(model):
            assert all(torch.equal(value, averaged[name]) for name, value in model.state_dict().items())
            assert not torch.equal(model[0].weight, own["0.weight"])
            if ends_by == "an error":
                raise RuntimeError(ends_by)
    except RuntimeError:
        assert ends_by == "an error"
    assert all(torch.equal(value, own[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(value, averaged[name]) for name, value in average.weights.items())


def test_an_optimizer_keeps_its_parameters_through_a_swap() -> None:
    model = net()
    average, parameters = WeightAverage(model), list(model.parameters())
    with average.swapped_in(model):
        assert all(one is other for one, other in zip(model.parameters(), parameters, strict=True))
    assert all(one is other for one, other in zip(model.parameters(), parameters, strict=True))
