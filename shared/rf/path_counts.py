"""How many ways lead from each input to one output: the weights of a receptive field, where ``field`` has its set.

A path takes one tap a layer. Counts multiply along layers and add up over branches. With all weights equal they are
the gradient, so that their spread is the effective receptive field in theory (Luo et al. 2016, arXiv:1701.04128).
Where rates double, kernel 3 gives Stern's diatomic sequence: the centre has one path, the greatest count is a
Fibonacci number, and nothing about it is Gaussian.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import sqrt

from shared.rf.field import Field
from shared.rf.stacks import conv

MOST_WAYS = 64


@dataclass(frozen=True)
class Paths:
    """Paths to output 0 from each input of the span: ``counts[i]`` of them begin at input ``offset + i``.

    ``>>`` and ``|`` mean what they mean for a ``Field``. The branch that reads everything is left out: its paths
    are as many as there are inputs.

    >>> paths(3, [1, 2, 4]).counts
    (1, 1, 2, 1, 3, 2, 3, 1, 3, 2, 3, 1, 2, 1, 1)
    """

    counts: tuple[int, ...] = (1,)
    jump: int = 1
    offset: int = 0

    @classmethod
    def of(cls, field: Field) -> Paths:
        """The paths of one layer: a path an input that it reads.

        >>> Paths.of(conv(3, 2)).counts
        (1, 0, 1, 0, 1)
        """
        counts = tuple(int(field.offset + at in field) for at in range(field.size))
        return cls(counts, field.jump, field.offset)

    def then(self, after: Paths) -> Paths:
        """These paths, continued through a later layer; ``self >> after`` says the same."""
        if not (self.counts and after.counts):
            return Paths((), self.jump * after.jump)
        counts = [0] * (len(self.counts) + (len(after.counts) - 1) * self.jump)
        for tap, ways in enumerate(after.counts):
            if ways:
                for at, count in enumerate(self.counts, tap * self.jump):
                    counts[at] += count * ways
        return Paths(tuple(counts), self.jump * after.jump, self.offset + after.offset * self.jump)

    __rshift__ = then

    def __or__(self, other: Paths) -> Paths:
        """The paths through either branch; their jumps must agree."""
        if not (self.counts and other.counts):
            return self if self.counts else other
        if self.jump != other.jump:
            raise ValueError(f"branches meet cell by cell, but their jumps are {self.jump} and {other.jump}")
        first = min(self.offset, other.offset)
        counts = [0] * (max(each.offset + len(each.counts) for each in (self, other)) - first)
        for each in (self, other):
            for at, count in enumerate(each.counts, each.offset - first):
                counts[at] += count
        return replace(self, counts=tuple(counts), offset=first)

    @property
    def mean(self) -> float:
        """Where the paths begin on average, in inputs from output 0's own position."""
        return self.offset + sum(at * count for at, count in enumerate(self.counts)) / sum(self.counts)

    @property
    def variance(self) -> float:
        """How far they spread about their mean, squared."""
        mean = self.mean - self.offset
        return sum((at - mean) ** 2 * count for at, count in enumerate(self.counts)) / sum(self.counts)

    @property
    def sigma(self) -> float:
        """The effective receptive field in theory: the standard deviation of where paths begin, in inputs.

        >>> round(paths(3, [1, 2, 4, 8]).sigma, 2), round(paths(3, [1] * 15).sigma, 2)   # both fields are 31
        (7.53, 3.16)
        """
        return sqrt(self.variance)


@dataclass(frozen=True)
class Ways:
    """The paths of each way through the branches, and how many ways are alike: what several axes need.

    Over two axes the counts of a way multiply, and only then do ways add up. Takes ``>>`` and ``|``; ValueError
    beyond ``MOST_WAYS`` different ones.

    >>> sorted(way.counts for way, _ in (Ways.of(conv(1)) | Ways.of(conv(3))).alike)
    [(1,), (1, 1, 1)]
    """

    alike: tuple[tuple[Paths, int], ...] = ((Paths(), 1),)

    @classmethod
    def of(cls, field: Field) -> Ways:
        """The one way through a layer; none through the branch that reads everything."""
        return cls(((Paths.of(field), 1),) if field.size else ())

    def __rshift__(self, after: Ways) -> Ways:
        """Every way here, continued by every way there."""
        if len(self.alike) * len(after.alike) > MOST_WAYS**2:
            raise ValueError(f"more than {MOST_WAYS} ways lead through the branches")
        return _merged([(a >> b, m * n) for a, m in self.alike for b, n in after.alike])

    def __or__(self, other: Ways) -> Ways:
        """The ways through either branch."""
        return _merged([*self.alike, *other.alike])


def _merged(ways: Sequence[tuple[Paths, int]]) -> Ways:
    numbers: Counter[Paths] = Counter()
    for way, number in ways:
        numbers[way] += number
    if len(numbers) > MOST_WAYS:
        raise ValueError(f"more than {MOST_WAYS} ways lead through the branches")
    return Ways(tuple(numbers.items()))


def paths(kernel_size: int, dilations: Sequence[int], *, causal: bool = False) -> Paths:
    """The paths of a stack of dilated convolutions that keep the resolution.

    >>> paths(3, [1, 3]).counts, paths(2, [1, 2, 4]).counts   # rates that grow by the kernel: one path an input
    ((1, 1, 1, 1, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1, 1, 1, 1))
    """
    layers = (Paths.of(conv(kernel_size, dilation, causal=causal)) for dilation in dilations)
    return reduce(Paths.then, layers, Paths())
