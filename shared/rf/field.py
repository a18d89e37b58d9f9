"""A receptive field along one axis is a set: output ``o`` reads the inputs ``o·jump + i`` for ``i`` in ``offsets``.

Sets of this kind are closed under layers in sequence (``>>``), where their offsets add up, and under branches side
by side (``|``), where they unite. So any network of convolutions, pools and branches has an exact answer without
running it: how far it reads, what it skips, how far it moves from one output to the next. Sizes and jumps follow
Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks" (Distill 2019), who leave the
holes out; here they are the bits of an integer, and whole sets are added by shifting it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from shared.rf.bits import common_cells, full, repeated, runs

MOST_PARTS = 32  # the work of ``coverage_in`` grows fast with them


@dataclass(frozen=True, repr=False)
class Field:
    """What one output reads: ``size`` inputs from ``offset`` on, less the ``unread``, moving ``jump`` an output.

    ``size`` counts from the first input read to the last. With ``is_global`` one branch reads everything besides;
    the rest then says what the finite branches read, and ``size`` is 0 if there are none.

    >>> from shared.rf import conv, global_pool, pool, stack
    >>> Field(size=9, jump=1, offset=-4)
    <9 [-4..+4], jump 1, gap-free>
    >>> backbone, pyramid = stack(3, [1, 1, 2, 4, 8]), conv(1) | conv(3, 6) | conv(3, 12) | conv(3, 18)
    >>> backbone >> (pyramid | global_pool) >> stack(3, [1, 1])
    <73 [-36..+36], jump 1, gap-free, smallest path 37, plus a global branch>
    """

    size: int = 1
    jump: int | Fraction = 1
    """A fraction where outputs outnumber inputs, which no layer of this algebra does."""
    offset: int = 0
    unread: int = 0
    """The holes, as bits: bit ``i`` is set where input ``offset + i`` is skipped."""
    is_global: bool = False
    """Whether some branch reads the whole input."""
    slack: int = field(default=0, compare=False)
    """How much wider the union of all branches is than the narrowest of them; says nothing about what is read."""
    parts: tuple[Field, ...] | None = field(default=(), compare=False)
    """Of branches none of which reads all that the others read: each one's field. None if they are too many."""

    @classmethod
    def conv(cls, kernel_size: int, *, stride: int = 1, dilation: int = 1, padding: int = 0) -> Field:
        """The field of one convolution or pooling; ``padding`` is what stands before the first input.

        >>> Field.conv(3, dilation=4, padding=4)
        <9 [-4..+4], jump 1, 33% of the span is read>
        """
        if min(kernel_size, stride, dilation) < 1:
            raise ValueError(
                f"kernel size, stride and dilation are at least 1, not {kernel_size}, {stride} and {dilation}"
            )
        size = (kernel_size - 1) * dilation + 1
        unread = full(size) ^ repeated(1, kernel_size, dilation) if dilation > 1 and kernel_size > 1 else 0
        return cls(size, stride, -padding, unread)

    @classmethod
    def causal(cls, kernel_size: int, dilation: int = 1) -> Field:
        """The field of a causal convolution: it ends at the present.

        >>> Field.causal(2, dilation=8)
        <9 [-8..0], jump 1, 22% of the span is read>
        """
        return cls.conv(kernel_size, dilation=dilation, padding=(kernel_size - 1) * dilation)

    @classmethod
    def reading(cls, offsets: Iterable[int], *, jump: int = 1) -> Field:
        """The field that reads exactly these offsets, at least one, in any order.

        >>> Field.reading([2, -2, 0])
        <5 [-2..+2], jump 1, 60% of the span is read>
        """
        offsets = set(offsets)
        if not offsets:
            raise ValueError("a field reads something: give at least one offset")
        first = min(offsets)
        size = max(offsets) - first + 1
        return cls(size, jump, first, full(size) ^ sum(1 << offset - first for offset in offsets))

    def then(self, after: Field) -> Field:
        """This field seen through a later layer's; ``self >> after`` says the same.

        >>> Field.conv(3, stride=2, padding=1).then(Field.conv(3, padding=1))
        <7 [-3..+3], jump 2, gap-free>
        """
        jump, is_global = self.jump * after.jump, self.is_global or after.is_global
        if not (self.size and after.size):
            return Field(0, jump, is_global=is_global)
        size = self.size + (after.size - 1) * self.jump
        offset, slack = self.offset + after.offset * self.jump, self.slack + after.slack * self.jump
        parts = self._parts_then(after)
        touching = self.size >= self.jump or after.size == 1
        if touching and not self.unread and not after.unread:
            return Field(size, jump, offset, 0, is_global, slack, parts)
        mine, reads = self._reads, 0
        for start, length in runs(after._reads):
            reads |= repeated(mine, length, self.jump) << start * self.jump
        return Field(size, jump, offset, full(size) ^ reads, is_global, slack, parts)

    __rshift__ = then

    def __or__(self, other: Field) -> Field:
        """Both side by side, as an addition or a concatenation joins them; their jumps must agree.

        >>> from shared.rf import conv, pool
        >>> conv(1) | conv(3, 6)
        <13 [-6..+6], jump 1, 23% of the span is read, smallest path 1>
        >>> conv(3) | pool(2)
        Traceback (most recent call last):
        ValueError: branches meet cell by cell, but their jumps are 1 and 2; stride both alike first
        """
        is_global = self.is_global or other.is_global
        if not (self.size and other.size):
            return replace(self if self.size else other, is_global=is_global)
        if self.jump != other.jump:
            raise ValueError(
                f"branches meet cell by cell, but their jumps are {self.jump} and {other.jump}; stride both alike first"
            )
        offset = min(self.offset, other.offset)
        reads = self._reads << self.offset - offset | other._reads << other.offset - offset
        slack = reads.bit_length() - min(self.smallest_path, other.smallest_path)
        size = reads.bit_length()
        parts = self._parts_beside(other)
        return Field(size, self.jump, offset, full(size) ^ reads, is_global, slack, parts)

    @property
    def history(self) -> int:
        """How many inputs before its own position output 0 sees."""
        return max(0, -self.offset)

    @property
    def lookahead(self) -> int:
        """How many inputs after its own position output 0 sees; 0 for a causal network."""
        return max(0, self.offset + self.size - 1)

    @property
    def smallest_path(self) -> int:
        """The size of the narrowest way from input to output; without branches, ``size`` itself."""
        return self.size - self.slack

    @property
    def offsets(self) -> tuple[int, ...]:
        """The inputs that output 0 reads, in order.

        >>> from shared.rf import stack
        >>> stack(3, [2, 4]).offsets
        (-6, -4, -2, 0, 2, 4, 6)
        """
        return tuple(self.offset + at for start, length in runs(self._reads) for at in range(start, start + length))

    @property
    def gaps(self) -> tuple[range, ...]:
        """The runs of inputs within the span that output 0 skips, in order.

        >>> from shared.rf import stack
        >>> stack(3, [1, 9]).gaps
        (range(-7, -1), range(2, 8))
        """
        first = self.offset
        return tuple(range(first + start, first + start + length) for start, length in runs(self.unread))

    @property
    def widest_gap(self) -> int:
        """The length of the longest run of skipped inputs, 0 where there is none."""
        return max(map(len, self.gaps), default=0)

    @property
    def gap_free(self) -> bool:
        """Whether every input of the span is read."""
        return not self.unread

    @property
    def coverage(self) -> float:
        """The share of the span that is read, in (0, 1]."""
        return 1 - self.unread.bit_count() / self.size if self.size else 1.0

    def coverage_in(self, dimensions: int) -> float:
        """The share that is read of the square, cube … of the span, where all axes are alike.

        Axes multiply in each branch, and only then do branches unite, so that it is less than a power of
        ``coverage``. ValueError where branches are too many to tell.

        >>> from shared.rf import conv, stack
        >>> f"{stack(3, [2, 4, 8]).coverage_in(2):.0%}"
        '27%'
        >>> pyramid = conv(1) | conv(3, 6) | conv(3, 12) | conv(3, 18)
        >>> round(pyramid.coverage_in(2) * 37 * 37)   # the centre, and eight a rate
        25
        """
        if self.parts is None and dimensions > 1:
            raise ValueError(f"more than {MOST_PARTS} branches differ: what they read together is known along one axis")
        if not self.parts or dimensions == 1:
            return self.coverage**dimensions
        sets = [part._reads << part.offset - self.offset for part in self.parts]
        return common_cells(sets, dimensions) / self.size**dimensions

    def __contains__(self, offset: int) -> bool:
        """Whether output 0 reads this input; the global branch does not count."""
        at = offset - self.offset
        return 0 <= at < self.size and not self.unread >> at & 1

    def __str__(self) -> str:
        """One line that says it all."""
        if not self.size:
            return "the whole input, through a global branch"
        read = "gap-free" if self.gap_free else f"{percent(self.coverage)} of the span is read"
        first, last = (f"{end:+d}" if end else "0" for end in (self.offset, self.offset + self.size - 1))
        line = f"{self.size} [{first}..{last}], jump {self.jump}, {read}"
        line += f", smallest path {self.smallest_path}" if self.slack else ""
        return line + (", plus a global branch" if self.is_global else "")

    def __repr__(self) -> str:
        return f"<{self}>"

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON takes it; ``gaps`` as pairs of a first and a last input.

        >>> from shared.rf import stack
        >>> stack(3, [1, 9]).to_dict()["gaps"]
        [[-7, -2], [2, 7]]
        """
        return {
            "size": self.size,
            "first": self.offset,
            "last": self.offset + self.size - 1,
            "jump": self.jump if isinstance(self.jump, int) else float(self.jump),
            "coverage": self.coverage,
            "gap_free": self.gap_free,
            "gaps": [[gap[0], gap[-1]] for gap in self.gaps],
            "smallest_path": self.smallest_path,
            "is_global": self.is_global,
            "history": self.history,
            "lookahead": self.lookahead,
        }

    @property
    def _reads(self) -> int:
        return full(self.size) ^ self.unread

    def _parts_then(self, after: Field) -> tuple[Field, ...] | None:
        if self.parts == () == after.parts:
            return ()
        if self.parts is None or after.parts is None:
            return None
        return _maximal(mine.then(theirs) for mine in self.parts or (self,) for theirs in after.parts or (after,))

    def _parts_beside(self, other: Field) -> tuple[Field, ...] | None:
        if self.parts is None or other.parts is None:
            return None
        return _maximal((*(self.parts or (self,)), *(other.parts or (other,))))

    def _within(self, other: Field) -> bool:
        first = min(self.offset, other.offset)
        return not self._reads << self.offset - first & ~(other._reads << other.offset - first)


def percent(share: float) -> str:
    """A share as a whole percentage, with more digits only where that would read as nothing or everything.

    >>> percent(15 / 29), percent(9 / 2049), percent(0.9999), percent(1.0)
    ('52%', '0.44%', '99.99%', '100%')
    """
    if share in (0, 1) or 0.01 <= share <= 0.99:
        return f"{share:.0%}"
    return f"{100 * share:.2g}%" if share < 0.01 else f"{100 - float(f'{100 * (1 - share):.1g}'):.10g}%"


def _maximal(fields: Iterable[Field]) -> tuple[Field, ...] | None:
    """Those that no other one contains; none if one contains all, and None if they are too many."""
    finite = {replace(each, is_global=False, slack=0, parts=()) for each in fields}
    kept: list[Field] = []
    for each in sorted(finite, key=lambda each: each.unread.bit_count() - each.size):
        if not any(each._within(other) for other in kept):
            kept.append(each)
            if len(kept) > MOST_PARTS:
                return None
    return tuple(kept) if len(kept) > 1 else ()
