"""Gridding: the theorem against brute force, the cheapest schedule against all others, and HDC against both."""

from collections.abc import Iterator
from itertools import combinations_with_replacement, permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import rf
from shared.rf import design, gap_free, hdc_distance, passes_hdc, verdict


def read_by(kernel_size: int, rates: tuple[int, ...]) -> set[int]:
    """What a stack reads, by sets alone."""
    offsets = {0}
    for rate in rates:
        offsets = {at + tap * rate for at in offsets for tap in range(kernel_size)}
    return offsets


def test_the_theorem_agrees_with_brute_force_on_every_small_schedule() -> None:
    checked = 0
    for kernel_size, longest, largest in ((2, 5, 9), (3, 4, 10), (4, 3, 12), (5, 3, 14)):
        for layers in range(1, longest + 1):
            for rates in combinations_with_replacement(range(1, largest + 1), layers):
                offsets = read_by(kernel_size, rates)
                assert gap_free(kernel_size, rates) == (len(offsets) == max(offsets) + 1), (kernel_size, rates)
                assert rf.stack(kernel_size, rates).gap_free == gap_free(kernel_size, rates)
                checked += 1
    assert checked > 4000


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=5))
@settings(deadline=None)
def test_it_holds_for_any_mixture_of_kernels_dilations_and_strides(layers: list[tuple[int, int, int]]) -> None:
    field, rates = rf.Field(), []
    for kernel_size, dilation, stride in layers:
        rates.append(dilation * field.jump)
        field = field >> rf.conv(kernel_size, dilation, stride=stride)
    assert gap_free([kernel_size for kernel_size, _, _ in layers], rates) == field.gap_free


def test_order_changes_neither_the_read_set_nor_the_paths() -> None:
    for rates in ((1, 2, 5, 9), (2, 3, 7), (1, 1, 4, 4)):
        orders = list(permutations(rates))
        assert len({rf.stack(3, order) for order in orders}) == 1
        assert len({rf.paths(3, order) for order in orders}) == 1
        assert len({gap_free(3, order) for order in orders}) == 1


def test_the_verdict_names_the_smallest_rate_at_fault_and_the_field_it_exceeds() -> None:
    assert verdict(3, [8, 2, 4]) == "gridded: rate 2 exceeds the 1-wide field of the smaller rates"
    assert verdict(2, [1, 2, 4, 9, 50]) == "gridded: rate 9 exceeds the 8-wide field of the smaller rates"
    assert verdict(3, [4, 1, 2]).startswith("gap-free")
    assert verdict(3, []).startswith("gap-free")
    assert verdict(1, [5]).startswith("gap-free")


def gap_free_schedules(kernel_size: int, layers: int, most: int) -> Iterator[tuple[int, ...]]:
    """Every ascending one, layer by layer, that adds up to no more than ``most``."""
    if not layers:
        yield ()
        return
    for start in gap_free_schedules(kernel_size, layers - 1, most):
        widest = 1 + (kernel_size - 1) * sum(start)
        for rate in range(start[-1] if start else 1, min(widest, most - sum(start)) + 1):
            yield (*start, rate)


@pytest.mark.parametrize(("kernel_size", "largest"), [(2, 33), (3, 60), (4, 70), (5, 90)])
def test_a_design_is_the_cheapest_of_all_gap_free_schedules(kernel_size: int, largest: int) -> None:
    for target in range(1, largest):
        designed = design(target, kernel_size)
        most, layers = sum(designed), len(designed)
        assert rf.stack(kernel_size, designed).gap_free
        reaching = [
            rates
            for fewer in range(layers + 1)
            for rates in gap_free_schedules(kernel_size, fewer, most)
            if 1 + (kernel_size - 1) * sum(rates) >= target
        ]
        assert designed == min(reaching, key=lambda rates: (len(rates), sum(rates), rates[::-1]))


@given(st.integers(1, 10**6), st.integers(2, 9))
@settings(deadline=None)
def test_a_design_reaches_its_target_with_nothing_to_spare(target: int, kernel_size: int) -> None:
    rates = design(target, kernel_size)
    size = 1 + (kernel_size - 1) * sum(rates)
    assert gap_free(kernel_size, rates)
    assert target <= size < target + kernel_size - 1
    assert not rates or kernel_size ** (len(rates) - 1) < target <= kernel_size ** len(rates)


def test_a_design_for_240_ms_at_16_khz_doubles_and_ends_with_the_rest() -> None:
    rates = design(3840, kernel_size=2)
    assert rates == (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1792)
    assert rf.stack(2, rates, causal=True) == rf.Field(3840, 1, -3839)


def test_the_fastest_growth_without_gaps_is_by_the_kernel() -> None:
    for kernel_size in (2, 3, 5):
        assert design(kernel_size**4, kernel_size) == tuple(kernel_size**layer for layer in range(4))


def test_hdc_of_the_papers_examples() -> None:
    assert (hdc_distance([1, 2, 5]), passes_hdc(3, [1, 2, 5])) == (2, True)
    assert (hdc_distance([1, 2, 9]), passes_hdc(3, [1, 2, 9])) == (5, False)


def test_hdc_alone_lets_gridding_through() -> None:
    assert passes_hdc(3, [2, 2, 2])
    assert rf.stack(3, [2, 2, 2]).coverage_in(2) == pytest.approx(49 / 169)
    assert round(49 / 169, 2) == 0.29


def test_hdc_with_a_first_rate_of_1_is_the_theorem_for_kernel_3_and_rates_that_never_fall() -> None:
    schedules = [(1, *rest) for layers in (1, 2, 3, 4) for rest in combinations_with_replacement(range(1, 13), layers)]
    assert len(schedules) == 1819
    assert all(passes_hdc(3, rates) == gap_free(3, rates) for rates in schedules)


def test_elsewhere_hdc_errs_both_ways() -> None:
    falling = [(1, *rest) for rest in product(range(1, 8), repeat=2)]
    assert any(gap_free(3, rates) and not passes_hdc(3, rates) for rates in falling)
    assert any(passes_hdc(2, rates) and not gap_free(2, rates) for rates in falling)


@pytest.mark.parametrize(
    "call",
    [
        lambda: design(0),
        lambda: design(5, kernel_size=1),
        lambda: gap_free(3, [0]),
        lambda: gap_free(0, [1]),
        lambda: hdc_distance([1]),
        lambda: gap_free([3], [1, 2]),
    ],
)
def test_what_makes_no_sense_is_refused(call) -> None:
    with pytest.raises(ValueError, match=r"at least|two rates|shorter"):
        call()
