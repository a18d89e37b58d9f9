"""Accumulation is a larger batch, clipping holds, and a step that is not finite never was."""

import math
from collections.abc import Callable, Iterable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from shared.errors import InputError
from shared.training.loop import PATIENCE, Progress, optimise, warmup_cosine


def line(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


def batches(count: int, rows: int = 4) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(rows, 3) for _ in range(count)]


def train(
    model: nn.Module, source: Iterable[Tensor], loss: Callable | None = None, rate: float = 0.1, **options
) -> list[Progress]:
    optimizer = options.pop("optimizer", None) or torch.optim.SGD(model.parameters(), lr=0)
    loss = loss or (lambda batch: model(batch).square().mean())
    return list(optimise(model, loss, source, optimizer, learning_rate=lambda _: rate, **options))


def weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def test_a_step_is_gradient_descent() -> None:
    model, (batch,) = line(), batches(1)
    loss = model(batch).square().mean()
    gradient = nn.utils.parameters_to_vector(torch.autograd.grad(loss, list(model.parameters())))
    before = weights(model)
    (progress,) = train(model, [batch], clip=1e9)
    torch.testing.assert_close(weights(model), before - 0.1 * gradient)
    loss, norm = pytest.approx(loss.item()), pytest.approx(gradient.norm().item())
    assert progress == Progress(1, loss, norm, learning_rate=0.1)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("accumulate", [2, 3])
def test_accumulated_batches_equal_one_batch_of_them_all(accumulate: int) -> None:
    apart, together = line().double(), line().double()
    source = [each.double() for each in batches(accumulate * 4)]
    joined = [torch.cat(source[at : at + accumulate]) for at in range(0, len(source), accumulate)]
    steps = train(apart, source, accumulate=accumulate)
    same = train(together, joined)
    torch.testing.assert_close(weights(apart), weights(together))
    assert [step.loss for step in steps] == pytest.approx([step.loss for step in same])
    assert [step.gradient_norm for step in steps] == pytest.approx([step.gradient_norm for step in same])
    assert len(steps) == 4


def test_a_last_group_that_is_not_full_is_averaged_over_what_it_has() -> None:
    grouped, single, source = line(), line(), batches(3)
    steps = train(grouped, source, accumulate=2)
    train(single, [torch.cat(source[:2]), source[2]])
    torch.testing.assert_close(weights(grouped), weights(single))
    assert [step.step for step in steps] == [1, 2]


def test_with_weights_the_mean_is_over_the_step_however_its_examples_are_dealt_out() -> None:
    source = [each.double() for each in batches(6, rows=2)]
    together = torch.cat(source)
    results = []
    for dealt in ([together], [together[:1], together[1:]], [together[:7], together[:0], together[7:]]):
        model = line().double()
        loss = lambda batch, model=model: model(batch).square().sum()  # noqa: E731
        (step,) = train(model, dealt, loss, accumulate=len(dealt), weight=len)
        results.append((weights(model), step.loss, step.gradient_norm))
    for other in results[1:]:
        torch.testing.assert_close(other[0], results[0][0])
        assert other[1:] == pytest.approx(results[0][1:])


@pytest.mark.parametrize("clip", [1e-3, 0.05])
def test_no_step_is_longer_than_the_clip_allows_and_the_norm_said_is_the_one_before(clip: float) -> None:
    model, source = line(), batches(5)
    free = [step.gradient_norm for step in train(line(), source[:1], clip=1e9)]
    for at, batch in enumerate(source):
        before = weights(model)
        (step,) = train(model, [batch], rate=1.0, clip=clip)
        assert step.gradient_norm > clip
        assert float((weights(model) - before).norm()) == pytest.approx(clip, rel=1e-3)
        assert at or step.gradient_norm == pytest.approx(free[0])


def test_a_gradient_within_the_clip_is_left_alone() -> None:
    one, other = line(), line()
    train(one, batches(3), clip=1e3)
    train(other, batches(3), clip=1e6)
    assert torch.equal(weights(one), weights(other))


def spoiled(model: nn.Module, how: str) -> Callable[[Tensor], Tensor]:
    """A loss of which the value, the gradient or both are not finite where a batch begins with 13."""

    def loss(batch: Tensor) -> Tensor:
        value = model(batch).square().mean()
        if batch[0, 0] != 13:
            return value
        if how == "gradient":
            return value + torch.sqrt(value * 0).sum()  # the derivative of the root at 0
        if how == "value":
            return value + math.inf
        return value * float(how)

    return loss


@pytest.mark.parametrize("how", ["nan", "inf", "-inf", "value", "gradient"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_step_that_is_not_finite_is_skipped_and_changes_nothing(how: str, accumulate: int) -> None:
    model, source = line(), batches(6)
    source[3][0, 0] = 13
    optimizer = torch.optim.AdamW(model.parameters())
    steps, seen, memory = [], [weights(model)], []
    arguments = {"learning_rate": lambda _: 0.1, "accumulate": accumulate}
    for step in optimise(model, spoiled(model, how), source, optimizer, **arguments):
        steps.append(step)
        seen.append(weights(model))
        memory.append([value.clone() for slot in optimizer.state.values() for value in slot.values()])
    bad = 3 // accumulate
    assert [step.skipped for step in steps] == [at == bad for at in range(6 // accumulate)]
    assert torch.equal(seen[bad], seen[bad + 1])
    assert all(torch.equal(one, other) for one, other in zip(memory[bad - 1], memory[bad], strict=True))
    assert all(not torch.equal(seen[at], seen[at + 1]) for at in range(len(steps)) if at != bad)
    assert torch.isfinite(seen[-1]).all()
    assert not (math.isfinite(steps[bad].loss) and math.isfinite(steps[bad].gradient_norm))


def test_after_a_skipped_step_training_goes_on_as_if_the_batch_had_not_been_there() -> None:
    with_bad, without, source = line(), line(), batches(5)
    source[2][0, 0] = 13
    train(with_bad, source, spoiled(with_bad, "nan"))
    train(without, source[:2] + source[3:])
    assert torch.equal(weights(with_bad), weights(without))


def test_ten_steps_in_a_row_that_are_not_finite_end_training_in_one_line() -> None:
    model, source = line(), batches(5) + [torch.full((4, 3), 13.0)] * 20
    message = r"training diverged: 10 steps in a row .* the last at step 115; "
    with pytest.raises(InputError, match=message) as caught:
        train(model, source, spoiled(model, "nan"), start=100)
    assert "\n" not in str(caught.value)


def test_each_of_the_ten_is_reported_before_the_end() -> None:
    model, steps = line(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0)
    bad = [torch.full((4, 3), 13.0)] * 99
    with pytest.raises(InputError):  # noqa: PT012 (the loop is what raises)
        for step in optimise(model, spoiled(model, "inf"), bad, optimizer, learning_rate=lambda _: 0.1):
            steps.append(step)
    assert [step.step for step in steps] == list(range(1, PATIENCE + 1))
    assert all(step.skipped for step in steps)


def test_one_good_step_restores_the_patience() -> None:
    model, bad = line(), torch.full((4, 3), 13.0)
    source = ([bad] * (PATIENCE - 1) + batches(1)) * 3
    steps = train(model, source, spoiled(model, "nan"))
    assert sum(step.skipped for step in steps) == 3 * (PATIENCE - 1)


def test_the_learning_rate_is_asked_for_each_step_counting_from_the_start() -> None:
    model, asked = line(), []
    optimizer = torch.optim.SGD([{"params": [model.weight]}, {"params": [model.bias]}], lr=5.0)

    def rate(step: int) -> float:
        asked.append(step)
        return step / 100

    loss = lambda batch: model(batch).sum()  # noqa: E731
    steps = list(optimise(model, loss, batches(3), optimizer, learning_rate=rate, start=40))
    assert asked == [40, 41, 42]
    assert [step.learning_rate for step in steps] == [0.40, 0.41, 0.42]
    assert [step.step for step in steps] == [41, 42, 43]
    assert {group["lr"] for group in optimizer.param_groups} == {0.42}


def test_a_rate_of_zero_changes_nothing() -> None:
    model = line()
    before = weights(model)
    train(model, batches(3), rate=0.0)
    assert torch.equal(weights(model), before)


def test_the_caller_may_stop_at_any_step_and_no_batch_is_taken_ahead() -> None:
    model, taken = line(), []

    def source() -> Iterable[Tensor]:
        for batch in batches(100):
            taken.append(batch)
            yield batch

    optimizer = torch.optim.SGD(model.parameters(), lr=0)
    loss = lambda batch: model(batch).square().mean()  # noqa: E731
    for step in optimise(model, loss, source(), optimizer, learning_rate=lambda _: 0.1, accumulate=2):
        if step.step == 3:
            break
    assert len(taken) == 6


def test_no_batches_are_no_steps() -> None:
    assert train(line(), []) == []


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_precision_is_that_of_products_while_weights_stay_float32(precision: torch.dtype) -> None:
    model, seen = line(), set()

    def loss(batch: Tensor) -> Tensor:
        y = model(batch)
        seen.add(y.dtype)
        return y.float().square().mean()

    optimizer = torch.optim.AdamW(model.parameters())
    train(model, batches(2), loss, precision=precision, optimizer=optimizer)
    assert seen == {precision}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert {slot["exp_avg"].dtype for slot in optimizer.state.values()} == {torch.float32}


def test_the_learning_rate_warms_up_in_a_straight_line_then_follows_half_a_cosine() -> None:
    assert [warmup_cosine(8.0, step, 4, fraction=0) for step in range(6)] == [2, 4, 6, 8, 8, 8]
    assert warmup_cosine(8.0, 99, 4, fraction=0.5) == pytest.approx(4)
    assert warmup_cosine(8.0, 99, 4, fraction=0.25) == pytest.approx(4 + 4 * math.sqrt(0.5))
    assert warmup_cosine(8.0, 99, 4, fraction=1.0) == pytest.approx(0)


rates = st.floats(1e-6, 1), st.integers(0, 1000), st.integers(0, 100), st.floats(0, 1), st.floats(0, 1)


@given(*rates)
@settings(deadline=None)
def test_the_learning_rate_lies_between_nothing_and_its_peak(
    peak: float, step: int, warmup: int, fraction: float, floor: float
) -> None:
    rate = warmup_cosine(peak, step, warmup, fraction, floor)
    assert 0 <= rate <= peak * (1 + 1e-12)
    if step >= warmup:
        assert rate >= floor * peak * (1 - 1e-12)
        assert rate >= warmup_cosine(peak, step, warmup, min(1.0, fraction + 0.1), floor)


def test_past_the_end_of_the_budget_the_learning_rate_stays_at_its_floor() -> None:
    assert warmup_cosine(1.0, 500, 10, 1.0, floor=0.1) == pytest.approx(0.1)
    assert warmup_cosine(1.0, 500, 10, 1.7, floor=0.1) == pytest.approx(0.1)
