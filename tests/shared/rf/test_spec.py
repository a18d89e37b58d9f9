"""Networks as text: every form means what its layers mean; what is not a network is refused quickly, with a reason."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import rf
from shared.rf import Field, Paths, Spread, conv, global_pool, parse, stack

MEANINGS = {
    "3": conv(3),
    "3@6": conv(3, 6),
    "3@1,2,4,8": stack(3, [1, 2, 4, 8]),
    "2@1,2,4*3 causal": stack(2, [1, 2, 4] * 3, causal=True),
    "7/2": conv(7, stride=2),
    "7/2 > 3/2 > 3*4": conv(7, stride=2) >> conv(3, stride=2) >> stack(3, [1] * 4),
    "3/2*2": conv(3, stride=2) >> conv(3, stride=2),
    "(3 > 3/2)*2 > 5": conv(3) >> conv(3, stride=2) >> conv(3) >> conv(3, stride=2) >> conv(5),
    "1 | 3@6": conv(1) | conv(3, 6),
    "3 > (1 | 3@6 | global) > 3": conv(3) >> (conv(1) | conv(3, 6) | global_pool) >> conv(3),
    "(1|(3>3@2|5))": conv(1) | stack(3, [1, 2]) | conv(5),
    "global": global_pool,
}


@pytest.mark.parametrize("text", MEANINGS)
def test_a_line_of_text_means_its_layers(text: str) -> None:
    field, meant = parse(text).field, MEANINGS[text]
    assert (field, field.smallest_path) == (meant, meant.smallest_path)
    assert parse(f"  {text.replace(' ', '   ')} ").field == field


@pytest.mark.parametrize("text", MEANINGS)
def test_its_paths_and_their_spread_belong_to_its_field(text: str) -> None:
    spec = parse(text)
    at = [spec.paths.offset + place for place, count in enumerate(spec.paths.counts) if count]
    assert tuple(at) == spec.field.offsets
    assert spec.spread.paths == sum(spec.paths.counts) == sum(sum(way.counts) * n for way, n in spec.ways.alike)
    if at:
        assert spec.spread.sigma == pytest.approx(spec.paths.sigma)


def test_of_layers_in_sequence_the_verdict_names_the_rate_in_inputs() -> None:
    assert parse("3/2 > 3@2").verdict == "gridded: rate 4 exceeds the 3-wide field of the smaller rates"
    assert parse("3/2 > 3").verdict.startswith("gap-free")
    assert parse("1 | 3@6").verdict == "gridded: the widest gap is 5"
    assert parse("3 > (1 | 3@2)").verdict == "gap-free"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a kernel is a number from 1 to 999,999, not the end"),
        ("3@", "a rate is a number from 1 to 999,999, not the end"),
        ("0", "a kernel is a number .* not '0'"),
        ("3@-1", "a rate is a number .* not '-'"),
        ("3/x", "a stride is a number .* not 'x'"),
        ("3*", "how many times is a number"),
        ("(3 > 3", "a bracket is not closed"),
        ("3 3", "'3' is not expected there"),
        ("3 causal causal", "'causal' is not expected there"),
        ("3 | 3/2", "their jumps are 1 and 2"),
        ("9" * 3000, "not '999999999999'"),
        ("3@999999", "wider than 262,144"),
        ("2/9999*9", "wider than 262,144"),
        ("1/999999*1500", "wider than 262,144"),
        ("((3*999)*999)*999", "more than 2,000 layers"),
        ("(" * 5000, "more than 20 deep"),
    ],
)
def test_what_is_no_network_or_too_large_a_one_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        _ = parse(text).field


@given(st.text("0123456789@,/*>|() causlgob", max_size=30))
@settings(deadline=None, max_examples=300)
def test_any_text_is_a_network_or_a_value_error(text: str) -> None:
    try:
        spec = parse(text)
        field = spec.field
    except ValueError:
        return
    assert isinstance(field, Field)
    assert isinstance(spec.spread, Spread)


def test_the_parts_of_a_network_are_public() -> None:
    assert isinstance(rf.parse("3").paths, Paths)
