"""Path counts and their spread: counted one by one, in closed form, and as the known sequences."""

from collections import Counter
from itertools import product
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import rf
from shared.rf import Paths, Spread, conv, paths, variance
from shared.rf.path_counts import MOST_WAYS, Ways
from shared.schedules import exponential

layers = st.builds(conv, st.integers(1, 4), st.integers(1, 5), stride=st.integers(1, 3), padding=st.integers(0, 6))
same = st.builds(conv, st.integers(1, 4), st.integers(1, 5), padding=st.integers(0, 6))


def walked(network: list[rf.Field]) -> Counter[int]:
    """Every path on its own: one tap a layer."""
    found: Counter[int] = Counter()
    for taps in product(*(layer.offsets for layer in network)):
        at = 0
        for layer, tap in zip(reversed(network), reversed(taps), strict=True):
            at = at * layer.jump + tap
        found[at] += 1
    return found


def counted(ways: Paths) -> Counter[int]:
    return Counter({ways.offset + at: count for at, count in enumerate(ways.counts) if count})


def in_sequence(kind, network):
    value = kind.of(network[0])
    for layer in network[1:]:
        value = value >> kind.of(layer)
    return value


@given(st.lists(layers, min_size=1, max_size=5))
@settings(deadline=None, max_examples=60)
def test_paths_are_those_that_one_can_walk(network: list[rf.Field]) -> None:
    assert counted(in_sequence(Paths, network)) == walked(network)


@given(
    st.lists(st.lists(same, min_size=1, max_size=3), min_size=1, max_size=3), st.lists(layers, min_size=1, max_size=2)
)
@settings(deadline=None, max_examples=60)
def test_over_branches_paths_add_up_and_their_spread_is_that_of_the_counts(branches, head) -> None:
    ways, spread = in_sequence(Paths, branches[0]), in_sequence(Spread, branches[0])
    for branch in branches[1:]:
        ways |= in_sequence(Paths, branch)
        spread |= in_sequence(Spread, branch)
    ways, spread = ways >> in_sequence(Paths, head), spread >> in_sequence(Spread, head)
    assert counted(ways) == sum((walked([*branch, *head]) for branch in branches), Counter())
    assert spread.paths == sum(ways.counts)
    assert spread.mean == pytest.approx(ways.mean, abs=1e-9)
    assert spread.variance == pytest.approx(ways.variance, abs=1e-9)


@given(st.lists(st.lists(same, min_size=1, max_size=2), min_size=1, max_size=3), st.lists(same, min_size=1, max_size=2))
@settings(deadline=None, max_examples=60)
def test_over_two_axes_counts_multiply_in_each_way_before_ways_add_up(branches, head) -> None:
    ways = in_sequence(Ways, branches[0])
    for branch in branches[1:]:
        ways |= in_sequence(Ways, branch)
    squares: Counter[tuple[int, int]] = Counter()
    for way, number in (ways >> in_sequence(Ways, head)).alike:
        line = counted(way)
        for (row, up), (column, across) in product(line.items(), repeat=2):
            squares[row, column] += number * up * across
    expected: Counter[tuple[int, int]] = Counter()
    for branch in branches:
        line = walked([*branch, *head])
        for (row, up), (column, across) in product(line.items(), repeat=2):
            expected[row, column] += up * across
    assert squares == expected


@given(st.integers(1, 5), st.lists(st.integers(1, 9), min_size=1, max_size=5), st.booleans())
@settings(deadline=None)
def test_a_stacks_variance_has_its_closed_form_and_its_support_is_the_field(kernel_size, rates, causal) -> None:
    ways = paths(kernel_size, rates, causal=causal)
    assert ways.variance == pytest.approx(variance(kernel_size, rates), abs=1e-9)
    assert tuple(sorted(counted(ways))) == rf.stack(kernel_size, rates, causal=causal).offsets


def test_behind_strides_the_variance_grows_by_the_jump_squared() -> None:
    strided = Spread.of(conv(1, stride=4)) >> Spread.of(conv(3, 2)) >> Spread.of(conv(3, 5))
    assert strided.variance == pytest.approx(variance(3, [2, 5], jump=4))


@pytest.mark.parametrize("layers_", range(1, 11))
def test_doubling_with_kernel_3_is_sterns_diatomic_sequence(layers_: int) -> None:
    stern, fibonacci = [0, 1], [1, 1]
    for at in range(2, 2**layers_ + 1):
        stern.append(stern[at // 2] + (stern[at // 2 + 1] if at % 2 else 0))
    while len(fibonacci) < layers_ + 1:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    counts = paths(3, exponential(layers_)).counts
    half = stern[1 : 2**layers_ + 1]
    assert counts == (*half, *half[-2::-1])
    assert counts[len(counts) // 2] == 1
    assert max(counts) == fibonacci[layers_]
    if layers_ == 8:
        assert max(counts) == 34


def test_rates_that_grow_by_the_kernel_have_one_path_an_input() -> None:
    for kernel_size in (2, 3, 4):
        assert paths(kernel_size, exponential(5, base=kernel_size)).counts == (1,) * kernel_size**5


def test_equal_fields_of_31_spread_3_16_6_06_and_7_53() -> None:
    for rates, sigma in (([1] * 15, 3.16), ([1, 2, 3, 4, 5], 6.06), ([1, 2, 4, 8], 7.53)):
        assert rf.stack(3, rates).size == 31
        assert round(sqrt(variance(3, rates)), 2) == round(paths(3, rates).sigma, 2) == sigma


def test_the_global_branch_adds_no_paths() -> None:
    for kind in (Paths, Spread, Ways):
        plain, everything = kind.of(conv(3)), kind.of(rf.global_pool)
        assert plain | everything == everything | plain == plain
        assert (plain >> everything >> plain) | plain == plain


def test_branches_of_different_jumps_do_not_meet_and_too_many_ways_are_refused() -> None:
    with pytest.raises(ValueError, match="jumps are 1 and 2"):
        _ = Paths.of(conv(3)) | Paths.of(conv(3, stride=2))
    ways = Ways.of(conv(2, 1))
    for rate in range(2, MOST_WAYS + 1):
        ways |= Ways.of(conv(2, rate))
    with pytest.raises(ValueError, match="ways lead through"):
        _ = ways >> ways
