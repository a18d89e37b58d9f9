"""How many taps of a dilated kernel fall on the map at all: what large rates cost (DeepLabV3, arXiv:1706.05587, §3.3).

Near the border the outer taps read padding. As the rate nears the size of the map a 3×3 turns into a 1×1, which is
why DeepLabV3 has a pooled branch beside its rates.
"""

from __future__ import annotations


def valid_share(rate: int, cells: int, kernel_size: int = 3, *, dimensions: int = 2) -> float:
    """The share of all taps, over all places of a centred kernel, that fall on a map of ``cells`` along each axis.

    In closed form: the tap ``i`` steps from the centre is on the map in ``cells − i·rate`` places. For a 3×3 that is
    ``((1 + 2(N − r)/N) / 3)²`` as long as ``r < N``.

    >>> round(9 * valid_share(18, cells=32), 2)   # of a 3×3's nine taps
    3.52
    """
    _check(rate, cells, kernel_size)
    steps = range(1, kernel_size // 2 + 1)
    valid = cells + 2 * sum(max(0, cells - step * rate) for step in steps)
    return (valid / (kernel_size * cells)) ** dimensions


def whole_share(rate: int, cells: int, kernel_size: int = 3, *, dimensions: int = 2) -> float:
    """The share of places where every tap falls on the map: ``(max(0, N − (k − 1)·r) / N)`` along each axis.

    >>> [round(whole_share(rate, cells=65), 3) for rate in (6, 12, 18)]   # DeepLabV3's figure 4
    [0.665, 0.398, 0.199]
    """
    _check(rate, cells, kernel_size)
    return (max(0, cells - (kernel_size - 1) * rate) / cells) ** dimensions


def _check(rate: int, cells: int, kernel_size: int) -> None:
    if min(rate, cells, kernel_size) < 1 or kernel_size % 2 == 0:
        raise ValueError(
            f"rate and cells are at least 1 and a centred kernel is odd, not {rate}, {cells} and {kernel_size}"
        )
