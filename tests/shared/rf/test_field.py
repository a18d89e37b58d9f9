"""Fields: arithmetic on sets says what sets of whole numbers say, and gives the published numbers."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import rf
from shared.rf import Field, stack, through
from shared.rf.field import MOST_PARTS, percent
from shared.schedules import exponential

solid = st.builds(Field, st.integers(1, 40), st.integers(1, 4), st.integers(-40, 40))
layers = st.builds(rf.conv, st.integers(1, 4), st.integers(1, 6), stride=st.integers(1, 3), padding=st.integers(0, 9))
same = st.builds(rf.conv, st.integers(1, 4), st.integers(1, 6), padding=st.integers(0, 9))
schedules = st.lists(st.integers(1, 64), min_size=1, max_size=8)


def reads(field: Field, output: int = 0) -> set[int]:
    return {output * field.jump + offset for offset in field.offsets}


def seen(networks: list[list[Field]], output: int = 0) -> set[int]:
    """Branches of layers, by sets alone: from the output back through every layer, and united."""
    union = set()
    for network in networks:
        needed = {output}
        for layer in reversed(network):
            needed = {at * layer.jump + offset for at in needed for offset in layer.offsets}
        union |= needed
    return union


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 9))
def test_a_layer_reads_its_taps(kernel: int, dilation: int, stride: int, padding: int) -> None:
    layer = Field.conv(kernel, stride=stride, dilation=dilation, padding=padding)
    assert layer.offsets == tuple(tap * dilation - padding for tap in range(kernel))
    assert layer.jump == stride
    assert Field.reading(layer.offsets, jump=stride) == layer


@given(st.lists(layers, max_size=6), st.integers(-5, 5))
@settings(deadline=None)
def test_layers_in_sequence_read_what_sets_of_numbers_say(network: list[Field], output: int) -> None:
    assert reads(through(*network), output) == seen([network], output)


@given(
    st.lists(layers, max_size=3),
    st.lists(st.lists(same, max_size=4), min_size=1, max_size=4),
    st.lists(layers, max_size=2),
)
@settings(deadline=None, max_examples=200)
def test_branches_read_what_sets_of_numbers_say(
    stem: list[Field], branches: list[list[Field]], head: list[Field]
) -> None:
    united = through(*branches[0])
    for branch in branches[1:]:
        united |= through(*branch)
    field = through(*stem) >> united >> through(*head)
    assert reads(field) == seen([[*stem, *branch, *head] for branch in branches])
    assert field.smallest_path == min(through(*stem, *branch, *head).size for branch in branches)


@given(st.lists(st.lists(same, min_size=1, max_size=2), min_size=1, max_size=3), st.lists(same, max_size=2))
@settings(deadline=None, max_examples=100)
def test_squares_of_branches_unite_after_they_are_squared(branches: list[list[Field]], head: list[Field]) -> None:
    field = through(*branches[0])
    for branch in branches[1:]:
        field |= through(*branch)
    field = field >> through(*head)
    for dimensions in (1, 2, 3):
        if field.size**dimensions < 40_000:
            cells = {cell for b in branches for cell in product(seen([[*b, *head]]), repeat=dimensions)}
            assert field.coverage_in(dimensions) == pytest.approx(len(cells) / field.size**dimensions)


@given(solid | layers, solid | layers, solid | layers)
@settings(deadline=None)
def test_fields_compose_in_any_grouping_and_a_field_of_one_changes_nothing(a: Field, b: Field, c: Field) -> None:
    assert a.then(b).then(c) == a.then(b.then(c)) == through(a, b, c) == a >> b >> c
    assert Field().then(a) == a == a.then(Field())
    assert through() == Field()


@given(same, same, same)
@settings(deadline=None)
def test_branches_come_in_any_order_and_a_later_layer_distributes_over_them(a: Field, b: Field, c: Field) -> None:
    assert a | b == b | a
    assert (a | b) | c == a | (b | c)
    assert a | a == a
    assert (a | b) >> c == (a >> c) | (b >> c)
    assert c >> (a | b) == (c >> a) | (c >> b)


@given(layers)
def test_what_a_field_says_of_itself_agrees_with_its_offsets(layer: Field) -> None:
    field = layer >> rf.conv(2, 5)
    span = range(field.offset, field.offset + field.size)
    assert (field.offsets[0], field.offsets[-1]) == (span[0], span[-1])
    holes = [at for gap in field.gaps for at in gap]
    assert sorted([*holes, *field.offsets]) == list(span)
    assert all(at in field for at in field.offsets)
    assert not any(at in field for at in [*holes, span[0] - 1, span[-1] + 1])
    assert field.gap_free == (not holes)
    assert field.widest_gap == max(map(len, field.gaps), default=0)
    assert field.coverage == pytest.approx(len(field.offsets) / len(span))
    assert (field.history, field.lookahead) == (max(0, -span[0]), max(0, span[-1]))
    facts = field.to_dict()
    assert (facts["first"], facts["last"], facts["size"]) == (span[0], span[-1], len(span))
    assert [at for first, last in facts["gaps"] for at in range(first, last + 1)] == holes


@given(st.integers(1, 7), schedules)
@settings(deadline=None)
def test_a_stack_is_the_fold_of_its_layers(kernel_size: int, dilations: list[int]) -> None:
    causal = [Field.causal(kernel_size, dilation) for dilation in dilations]
    assert stack(kernel_size, dilations, causal=True) == through(*causal)
    assert stack(kernel_size, dilations).size == 1 + (kernel_size - 1) * sum(dilations)
    odd = 2 * (kernel_size // 2) + 1
    centred = [Field.conv(odd, dilation=each, padding=(odd - 1) // 2 * each) for each in dilations]
    assert stack(odd, dilations) == through(*centred)
    assert stack(odd, dilations).history == stack(odd, dilations).lookahead


def test_a_global_branch_stays_one_and_leaves_the_finite_part_as_it_was() -> None:
    finite, beside = rf.conv(3, 2) >> rf.conv(3), rf.conv(3, 2) | rf.global_pool
    assert (beside >> rf.conv(3)).is_global
    assert (beside >> rf.conv(3)).offsets == finite.offsets
    assert rf.conv(3, stride=2) | rf.global_pool == rf.global_pool | rf.conv(3, stride=2)
    for alone in (
        rf.global_pool,
        rf.conv(3, stride=2) >> rf.global_pool >> rf.conv(3),
        rf.global_pool | rf.global_pool,
    ):
        assert (alone.size, alone.offsets, alone.is_global, alone.coverage) == (0, (), True, 1)
    assert 0 not in rf.global_pool


def test_branches_of_different_phases_meet_but_those_of_different_jumps_do_not() -> None:
    assert (Field(2, 2, 0) | Field(2, 2, 5)).offsets == (0, 1, 5, 6)
    with pytest.raises(ValueError, match="jumps are 2 and 4"):
        _ = rf.conv(3, stride=2) | rf.conv(3, stride=4)


def test_too_many_branches_are_still_exact_along_one_axis_and_refuse_a_square() -> None:
    many = rf.conv(2, 1)
    for dilation in range(2, MOST_PARTS + 2):
        many |= Field.conv(2, dilation=dilation)
    after = rf.conv(3) >> many
    assert after.parts is None
    assert reads(after) == {at + tap for at in [0, *range(1, MOST_PARTS + 2)] for tap in (-1, 0, 1)}
    assert after.coverage_in(1) == 1
    with pytest.raises(ValueError, match="known along one axis"):
        after.coverage_in(2)


@pytest.mark.parametrize(
    ("field", "line"),
    [
        (stack(3, [1, 2, 4, 8]), "31 [-15..+15], jump 1, gap-free"),
        (stack(3, [2, 4, 8]), "29 [-14..+14], jump 1, 52% of the span is read"),
        (stack(2, exponential(10, stacks=3), causal=True), "3070 [-3069..0], jump 1, gap-free"),
        (rf.conv(1) | rf.conv(3), "3 [-1..+1], jump 1, gap-free, smallest path 1"),
        (rf.conv(3) | rf.global_pool, "3 [-1..+1], jump 1, gap-free, plus a global branch"),
        (rf.global_pool, "the whole input, through a global branch"),
    ],
)
def test_a_field_is_said_in_one_line(field: Field, line: str) -> None:
    assert str(field) == line
    assert repr(field) == f"<{line}>"


@given(st.integers(1, 400), st.integers(1, 400))
def test_only_nothing_reads_0_percent_and_only_everything_100(part: int, more: int) -> None:
    assert percent(part / (part + more)) not in ("0%", "100%")
    assert (percent(0.0), percent(1.0)) == ("0%", "100%")


@pytest.mark.parametrize("settings_", [{"kernel_size": 0}, {"stride": 0}, {"dilation": -1}])
def test_what_is_no_layer_is_refused(settings_: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Field.conv(**{"kernel_size": 3, **settings_})
    with pytest.raises(ValueError, match="at least one offset"):
        Field.reading([])
