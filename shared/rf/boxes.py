"""Sets of positions, exactly: ``Indices`` along one axis, a ``Box`` over several, a tuple of boxes for their union.

A set of positions along an axis is a bit pattern and where it begins, so that moving it costs nothing and joining two
is one machine operation for 64 positions. A box is one such set a tensor dimension: their product. What an output
reads of a tensor is a union of boxes, kept small without losing exactness: a box within another is dropped, two that
differ along one dimension alone are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Indices:
    """A finite set of integers: ``first`` and, counted from there, one bit a member. Make it by ``of`` or ``span``.

    >>> odd = Indices.of([7, 5, 11])
    >>> odd, len(odd), odd.last, list(odd)
    (Indices.of([5, 7, 11]), 3, 11, [5, 7, 11])
    >>> odd | Indices.span(10, 13), odd <= Indices.span(0, 20)
    (Indices.of([5, 7, 10, 11, 12]), True)
    """

    first: int
    bits: int

    @staticmethod
    def of(members: Iterable[int]) -> Indices:
        """The set of these numbers."""
        members = list(members)
        if not members:
            return EMPTY
        first, last = min(members), max(members)
        digits = bytearray(b"0") * (last - first + 1)
        for member in members:
            digits[last - member] = 49  # "1"
        return Indices(first, int(digits, 2))

    @staticmethod
    def span(start: int, stop: int) -> Indices:
        """All of ``start … stop − 1``."""
        return _span(start, stop)

    @staticmethod
    def from_bits(first: int, bits: int) -> Indices:
        """The set whose lowest bit stands for ``first``; the pattern may begin or end in zeros."""
        if not bits:
            return EMPTY
        low = (bits & -bits).bit_length() - 1
        return Indices(first + low, bits >> low)

    @property
    def last(self) -> int:
        """The greatest member."""
        return self.first + self.bits.bit_length() - 1

    @property
    def size(self) -> int:
        """From the first to the last, both counted."""
        return self.bits.bit_length()

    def __len__(self) -> int:
        return self.bits.bit_count()

    def __bool__(self) -> bool:
        return self.bits != 0

    def __iter__(self) -> Iterator[int]:
        digits, at = bin(self.bits)[:1:-1], -1
        while (at := digits.find("1", at + 1)) >= 0:
            yield self.first + at

    def __repr__(self) -> str:
        return f"Indices.of({list(self)})"

    def __or__(self, other: Indices) -> Indices:
        if not self.bits or not other.bits:
            return self if self.bits else other
        first = min(self.first, other.first)
        return Indices(first, self.bits << (self.first - first) | other.bits << (other.first - first))

    def __and__(self, other: Indices) -> Indices:
        if self.first > other.first:
            self, other = other, self
        return Indices.from_bits(other.first, self.bits >> (other.first - self.first) & other.bits)

    def __sub__(self, other: Indices) -> Indices:
        shared = self & other
        if not shared:
            return self
        return Indices.from_bits(self.first, self.bits ^ shared.bits << (shared.first - self.first))

    def __le__(self, other: Indices) -> bool:
        if not self.bits:
            return True
        ahead = self.first - other.first
        return ahead >= 0 and not self.bits & ~(other.bits >> ahead)

    def moved(self, by: int) -> Indices:
        """``{i + by}``."""
        return Indices(self.first + by, self.bits) if self.bits else self

    def scaled(self, by: int) -> Indices:
        """``{i · by}``, for ``by`` of 1 or more."""
        return self if by == 1 else Indices(self.first * by, _spread(self.bits, by))

    def plus(self, other: Indices) -> Indices:
        """``{i + j}``: every member of one moved by every member of the other."""
        few, many = sorted((self, other), key=len)
        return Indices(few.first + many.first, _sum(many.bits, few.bits)) if few else EMPTY

    def divided(self, by: int) -> Indices:
        """``{i : i · by in the set}``: what ``scaled`` has scaled, and of it only what falls on the grid.

        >>> Indices.span(-4, 8).divided(3)
        Indices.of([-1, 0, 1, 2])
        """
        if by == 1:
            return self
        skip = -self.first % by
        digits = bin(self.bits)[:1:-1][skip::by]
        return Indices.from_bits((self.first + skip) // by, int(digits[::-1] or "0", 2))

    def mirrored(self) -> Indices:
        """``{−i}``."""
        return Indices(-self.last, int(bin(self.bits)[:1:-1], 2)) if self.bits else self

    def within(self, length: int) -> Indices:
        """Those from 0 to ``length − 1``."""
        return self if self.first >= 0 and self.last < length else self & _span(0, length)


EMPTY = Indices(0, 0)
ZERO = Indices(0, 1)

Box = tuple[Indices, ...]
Boxes = tuple[Box, ...]


def whole(shape: Iterable[int]) -> Box:
    """All of a tensor of this shape."""
    return tuple(_span(0, length) for length in shape)


def clipped(box: Box, shape: tuple[int, ...]) -> Box | None:
    """The part of a box that lies in a tensor of this shape; None where nothing does."""
    inside = tuple(each.within(length) for each, length in zip(box, shape, strict=True))
    return inside if all(inside) else None


def replaced(box: Box, dim: int, indices: Indices) -> Box:
    """The box with another set along one dimension."""
    return (*box[:dim], indices, *box[dim + 1 :])


def united(boxes: Iterable[Box]) -> Boxes:
    """The same union in fewer boxes; what is dropped lies in what is kept.

    >>> united([(Indices.span(0, 2), ZERO), (Indices.span(2, 4), ZERO), (ZERO, ZERO)])
    ((Indices.of([0, 1, 2, 3]), Indices.of([0])),)
    """
    kept: list[Box] = []
    waiting = list(boxes)
    while waiting:
        box = waiting.pop()
        for at, other in enumerate(kept):
            joined = _joined(box, other)
            if joined is None:
                continue
            if joined is not other:
                del kept[at]
                waiting.append(joined)
            break
        else:
            kept.append(box)
    return tuple(kept)


def hull(boxes: Iterable[Box]) -> Box:
    """The union of the boxes' sets, dimension by dimension: what is read along each axis, seen alone."""
    result: Box | None = None
    for box in boxes:
        result = box if result is None else tuple(a | b for a, b in zip(result, box, strict=True))
    return result or ()


def split(indices: Indices, lengths: tuple[int, ...]) -> Iterator[Box]:
    """Numbers as positions in a tensor of these lengths, last dimension fastest: boxes whose union they are.

    Along the first dimension positions may lie outside: what is beyond the tensor stays beyond it.

    >>> list(split(Indices.of([1, 4, 5]), (3, 3)))
    [(Indices.of([0]), Indices.of([1])), (Indices.of([1]), Indices.of([1, 2]))]
    """
    if len(lengths) == 1:
        yield (indices,)
        return
    row = 1
    for length in lengths[1:]:
        row *= length
    alike: dict[Indices, list[int]] = {}
    for number in range(indices.first // row, indices.last // row + 1):
        part = (indices & _span(number * row, (number + 1) * row)).moved(-number * row)
        if part:
            alike.setdefault(part, []).append(number)
    for part, numbers in alike.items():
        rows = Indices.of(numbers)
        for rest in split(part, lengths[1:]):
            yield (rows, *rest)


def merged(box: Box, lengths: tuple[int, ...]) -> Indices:
    """Positions in a tensor of these lengths as numbers, last dimension fastest: the inverse of ``split``."""
    numbers = box[0]
    for indices, length in zip(box[1:], lengths[1:], strict=True):
        numbers = numbers.scaled(length).plus(indices)
    return numbers


def _joined(box: Box, other: Box) -> Box | None:
    """One box that is the union of both, if there is one."""
    apart = [dim for dim, (a, b) in enumerate(zip(box, other, strict=True)) if a is not b and a != b]
    if not apart:
        return other
    if len(apart) == 1:
        (dim,) = apart
        return other if box[dim] <= other[dim] else replaced(box, dim, box[dim] | other[dim])
    if all(box[dim] <= other[dim] for dim in apart):
        return other
    if all(other[dim] <= box[dim] for dim in apart):
        return box
    return None


@lru_cache(4096)
def _span(start: int, stop: int) -> Indices:
    return Indices(start, (1 << (stop - start)) - 1) if stop > start else EMPTY


@lru_cache(256)
def _spread(bits: int, by: int) -> int:
    return int(("0" * (by - 1)).join(bin(bits)[2:]), 2)


@lru_cache(512)
def _sum(many: int, few: int) -> int:
    if few & few + 1 == 0:  # a run of ones: double what is covered until it is all
        covered, wanted = 1, few.bit_length()
        while covered < wanted:
            step = min(covered, wanted - covered)
            many |= many << step
            covered += step
        return many
    total = 0
    for at in Indices(0, few):
        total |= many << at
    return total
