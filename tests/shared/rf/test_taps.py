"""Taps on the map: closed forms against counting every tap at every place."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rf import valid_share, whole_share


@given(st.integers(1, 20), st.integers(1, 9), st.sampled_from([1, 3, 5, 7]))
def test_the_shares_are_those_that_counting_gives(rate: int, cells: int, kernel_size: int) -> None:
    reach = kernel_size // 2
    valid = [sum(0 <= place + step * rate < cells for step in range(-reach, reach + 1)) for place in range(cells)]
    squares = [up * across for up, across in product(valid, repeat=2)]
    assert valid_share(rate, cells, kernel_size) == pytest.approx(sum(squares) / (kernel_size * cells) ** 2)
    assert whole_share(rate, cells, kernel_size) == pytest.approx(squares.count(kernel_size**2) / cells**2)
    assert valid_share(rate, cells, kernel_size, dimensions=1) == pytest.approx(sum(valid) / (kernel_size * cells))


@given(st.integers(2, 60), st.data())
def test_for_a_3x3_the_mean_is_a_known_square(cells: int, data: st.DataObject) -> None:
    rate = data.draw(st.integers(1, cells - 1))
    assert 9 * valid_share(rate, cells) == pytest.approx((1 + 2 * (cells - rate) / cells) ** 2)


def test_deeplab_v3s_figure_4_and_a_map_of_32_cells() -> None:
    assert [round(whole_share(rate, 65), 3) for rate in (6, 12, 18)] == [0.665, 0.398, 0.199]
    assert [round(whole_share(rate, 32), 3) for rate in (6, 12, 18)] == [0.391, 0.062, 0.0]
    assert round(9 * valid_share(18, 32), 2) == 3.52


def test_a_rate_as_wide_as_the_map_leaves_a_1x1() -> None:
    for rate in (7, 8, 100):
        assert valid_share(rate, cells=7) == pytest.approx(1 / 9)


@pytest.mark.parametrize("arguments", [(0, 5), (1, 0), (1, 5, 2)])
def test_what_is_no_map_or_has_no_centre_is_refused(arguments: tuple[int, ...]) -> None:
    for share in (valid_share, whole_share):
        with pytest.raises(ValueError, match="odd"):
            share(*arguments)
