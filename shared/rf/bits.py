"""Sets of whole numbers as the bits of one integer: a union is ``|``, a shift is ``<<``, and wide sets stay cheap."""

import re
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_


def full(size: int) -> int:
    """The set of 0 … ``size − 1``.

    >>> bin(full(5))
    '0b11111'
    """
    return (1 << size) - 1


def repeated(bits: int, times: int, step: int) -> int:
    """The union of so many copies of a set, each ``step`` further than the last, in log ``times`` shifts.

    >>> bin(repeated(0b1, times=3, step=2))
    '0b10101'
    """
    done = 1
    while done < times:
        more = min(done, times - done)
        bits |= bits << more * step
        done += more
    return bits


def runs(bits: int) -> Iterator[tuple[int, int]]:
    """First member and length of each run of neighbours, in order.

    >>> list(runs(0b1101110))
    [(1, 3), (5, 2)]
    """
    return ((run.start(), len(run[0])) for run in re.finditer("1+", f"{bits:b}"[::-1]))


def common_cells(sets: Sequence[int], dimensions: int) -> int:
    """How many cells the squares, cubes … of these sets have together.

    >>> common_cells([0b010, 0b101], dimensions=2)   # a quincunx
    5
    """
    union = reduce(or_, sets, 0)
    if dimensions == 1 or len(sets) == 1:
        return union.bit_count() ** dimensions
    pieces: list[tuple[int, list[int]]] = [(union, [])]  # members along one axis, and the sets that they are in
    for each in sets:
        halves = [(piece & each, [*inside, each]) for piece, inside in pieces]
        halves += [(piece & ~each, inside) for piece, inside in pieces]
        pieces = [half for half in halves if half[0]]
    return sum(piece.bit_count() * common_cells(inside, dimensions - 1) for piece, inside in pieces)
