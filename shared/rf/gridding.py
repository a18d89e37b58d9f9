"""Gridding: which dilation schedules leave holes, and which one reaches furthest without any.

The theorem: sort the rates. A stack reads every input of its span if and only if each rate is at most the field of
the smaller ones, ``1 + (kernel − 1) · Σ smaller``. If a rate exceeds that field ``R``, the input ``R`` after the
first is out of reach: smaller rates end before it and a tap of a larger one lies beyond it. If not, the shifted
copies of a full interval touch. Order never matters, since offsets only add up. (For sums of distinct terms it is
J. L. Brown's completeness criterion, "Note on complete sequences of integers", 1961.) So the fastest growth without
holes is by the kernel: doubling for 2, tripling for 3.
"""

from __future__ import annotations

from collections.abc import Sequence


def gap_free(kernel_size: int | Sequence[int], rates: Sequence[int]) -> bool:
    """Whether a stack of these rates, in any order, reads every input of its span.

    ``kernel_size`` is one for all layers or one a layer. In a network with strides, a rate counts inputs: it is the
    dilation times the strides before it.

    >>> gap_free(3, [1, 2, 4, 8]), gap_free(3, [2, 4, 8]), gap_free(3, [9, 1, 3]), gap_free(2, [1, 3])
    (True, False, True, False)
    >>> gap_free([7, 3], [1, 8]), gap_free([7, 3], [1, 7])
    (False, True)
    """
    return _offender(kernel_size, rates) is None


def verdict(kernel_size: int | Sequence[int], rates: Sequence[int]) -> str:
    """``gap_free`` in words: one line that names the smallest rate at fault.

    >>> verdict(3, [2, 4, 8])
    'gridded: rate 2 exceeds the 1-wide field of the smaller rates'
    >>> verdict(3, [1, 2, 9])
    'gridded: rate 9 exceeds the 7-wide field of the smaller rates'
    >>> verdict(3, [1, 2, 5])
    'gap-free: no rate exceeds the field of the smaller ones'
    """
    offender = _offender(kernel_size, rates)
    if offender is None:
        return "gap-free: no rate exceeds the field of the smaller ones"
    rate, width = offender
    return f"gridded: rate {rate} exceeds the {width}-wide field of the smaller rates"


def _offender(kernel_size: int | Sequence[int], rates: Sequence[int]) -> tuple[int, int] | None:
    """The smallest rate beyond the field of the smaller ones, and that field."""
    kernels = [kernel_size] * len(rates) if isinstance(kernel_size, int) else kernel_size
    if min(*kernels, *rates, 1, 1) < 1:
        raise ValueError(f"kernels and rates are at least 1, not {kernel_size} and {list(rates)}")
    width = 1
    for rate, kernel in sorted(zip(rates, kernels, strict=True)):
        if kernel > 1 and rate > width:
            return rate, width
        width += (kernel - 1) * rate
    return None


def design(target: int, kernel_size: int = 3) -> tuple[int, ...]:
    """The cheapest gap-free schedule whose field is at least ``target`` inputs, in ascending order.

    Cheapest means, in this order: the fewest layers; of those the smallest field, which is ``target`` itself where
    ``kernel_size − 1`` divides ``target − 1``; of those the smallest largest rate, then the smallest second largest,
    and so on. ValueError for a target below 1 or a kernel below 2.

    >>> design(3840, kernel_size=2)   # 0.24 s at 16 kHz
    (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1792)
    >>> design(31), design(32)
    ((1, 3, 5, 6), (1, 3, 6, 6))
    """
    if target < 1 or kernel_size < 2:
        raise ValueError(f"a field of at least 1 and a kernel of at least 2, not {target} and {kernel_size}")
    layers, reach = 0, 1
    while reach < target:
        layers, reach = layers + 1, reach * kernel_size
    total = -((1 - target) // (kernel_size - 1))  # what the rates have to add up to
    rates: list[int] = []
    for left in range(layers, 0, -1):  # the largest first
        rates.append(_smallest_cap(total, left, kernel_size))
        total -= rates[-1]
    return tuple(reversed(rates))


def _smallest_cap(total: int, layers: int, kernel_size: int) -> int:
    """The smallest largest rate with which so many layers without gaps can add up to ``total``."""
    low, high = 1, total
    while low < high:
        cap = (low + high) // 2
        reached = 0
        for _ in range(layers):
            reached += min(cap, 1 + (kernel_size - 1) * reached)
        low, high = (low, cap) if reached >= total else (cap + 1, high)
    return low


def hdc_distance(rates: Sequence[int]) -> int:
    """``M₂``, the largest distance between two inputs read after the second layer, by Wang et al. 2018.

    Hybrid dilated convolution (arXiv:1702.08502, section 3.2) goes down from ``Mₙ = rₙ`` by
    ``Mᵢ = max(Mᵢ₊₁ − 2rᵢ, Mᵢ₊₁ − 2(Mᵢ₊₁ − rᵢ), rᵢ)`` and asks for ``M₂`` at most the kernel. Takes at least two rates,
    from the first layer to the last.

    >>> hdc_distance([1, 2, 5]), hdc_distance([1, 2, 9])
    (2, 5)
    """
    if len(rates) < 2:
        raise ValueError(f"M₂ needs two rates or more, not {list(rates)}")
    *earlier, distance = rates[1:]
    for rate in reversed(earlier):
        distance = max(distance - 2 * rate, 2 * rate - distance, rate)
    return distance


def passes_hdc(kernel_size: int, rates: Sequence[int]) -> bool:
    """Whether rates meet the published criterion, ``M₂ ≤ kernel``; alone it does not rule out gridding.

    It never looks at the first rate: (2, 2, 2) passes and reads 29 % of its 13×13 field. With ``r₁ = 1`` it says the
    same as ``gap_free`` for kernel 3 and rates that never fall. Elsewhere it errs both ways: its ``2rᵢ`` is the span of
    three taps, and it depends on an order that the read set does not depend on.

    >>> passes_hdc(3, [2, 2, 2]), gap_free(3, [2, 2, 2])
    (True, False)
    >>> passes_hdc(3, [1, 9, 3]), gap_free(3, [1, 9, 3])
    (False, True)
    """
    return hdc_distance(rates) <= kernel_size
