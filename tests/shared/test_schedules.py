"""A schedule is a plain tuple of positive ints, and each function keeps the law that names it."""

from collections.abc import Callable
from itertools import combinations, pairwise
from math import gcd

import pytest

from shared.schedules import exponential, fibonacci, linear, prime

SCHEDULES = [exponential, fibonacci, linear, prime]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("layers", [1, 2, 3, 10])
@pytest.mark.parametrize("stacks", [1, 3])
def test_a_schedule_is_one_stack_of_positive_ints_repeated(schedule: Callable, layers: int, stacks: int) -> None:
    dilations = schedule(layers, stacks)
    assert type(dilations) is tuple
    assert all(type(dilation) is int and dilation >= 1 for dilation in dilations)
    assert dilations == schedule(layers) * stacks
    assert len(dilations) == layers * stacks


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_shorter_schedule_is_the_beginning_of_a_longer_one(schedule: Callable) -> None:
    assert all(schedule(layers) == schedule(12)[:layers] for layers in range(1, 13))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sizes", [(0, 1), (-1, 1), (1, 0), (3, -2)])
def test_no_layers_or_no_stacks_are_refused(schedule: Callable, sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        schedule(*sizes)


def test_exponential_ends_at_512_after_ten_layers_and_grows_by_its_base() -> None:
    assert exponential(10)[-1] == 512
    for base in (2, 3):
        assert all(after == base * before for before, after in pairwise(exponential(8, base=base)))


def test_each_number_of_fibonacci_is_the_sum_of_the_two_before() -> None:
    numbers = fibonacci(15)
    assert all(numbers[at] == numbers[at - 1] + numbers[at - 2] for at in range(2, 15))


def test_no_two_dilations_of_prime_share_a_factor_and_no_prime_is_missing() -> None:
    numbers = prime(20)
    assert all(gcd(one, other) == 1 for one, other in combinations(numbers, 2))
    composite = {one * other for one in range(2, 71) for other in range(2, 71)}
    assert numbers == tuple(number for number in range(1, 72) if number not in composite)[:20]


def test_linear_grows_by_one() -> None:
    assert linear(7) == (1, 2, 3, 4, 5, 6, 7)
