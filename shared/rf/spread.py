"""How far the paths into an output spread: their number, mean and variance, without counting them one by one.

Independent steps add: along layers the variances add up, times the jump squared; over branches they mix by their
numbers of paths. ``path_counts`` is the slow way to the same numbers. The standard deviation is the effective
receptive field in theory (Luo et al. 2016, arXiv:1701.04128).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

from shared.rf.field import Field


@dataclass(frozen=True)
class Spread:
    """The paths to output 0: how many, where they begin on average, and the variance of that, in inputs.

    ``>>`` and ``|`` mean what they mean for a ``Field``; the branch that reads everything has no paths here.

    >>> from shared.rf import conv
    >>> plain, dilated = Spread.of(conv(3)), Spread.of(conv(3, 4))
    >>> round((plain >> dilated).variance, 3) == round(variance(3, [1, 4]), 3)
    True
    """

    paths: int = 1
    mean: float = 0.0
    variance: float = 0.0
    jump: int = 1

    @classmethod
    def of(cls, field: Field) -> Spread:
        """The spread of one layer: a path an input that it reads."""
        offsets = field.offsets
        if not offsets:
            return cls(0, jump=field.jump)
        mean = sum(offsets) / len(offsets)
        return cls(len(offsets), mean, sum((at - mean) ** 2 for at in offsets) / len(offsets), field.jump)

    def __rshift__(self, after: Spread) -> Spread:
        """These paths, continued through a later layer."""
        mean = self.mean + self.jump * after.mean
        variance = self.variance + self.jump**2 * after.variance
        return Spread(self.paths * after.paths, mean, variance, self.jump * after.jump)

    def __or__(self, other: Spread) -> Spread:
        """The paths through either branch."""
        if not (self.paths and other.paths):
            return self if self.paths else other
        paths = self.paths + other.paths
        mine, theirs = self.paths / paths, other.paths / paths
        between = mine * theirs * (self.mean - other.mean) ** 2
        variance = mine * self.variance + theirs * other.variance + between
        return replace(self, paths=paths, mean=mine * self.mean + theirs * other.mean, variance=variance)

    @property
    def sigma(self) -> float:
        """The effective receptive field in theory: the standard deviation, in inputs."""
        return sqrt(self.variance)


def variance(kernel_size: int, dilations: Sequence[int], *, jump: int = 1) -> float:
    """The variance of a stack's paths in closed form: ``jump² · Σ d² · (kernel_size² − 1) / 12``, in inputs².

    ``jump`` is the spacing of the cells that the stack works on, in inputs.

    >>> [round(variance(3, rates) ** 0.5, 2) for rates in ([1] * 15, [1, 2, 3, 4, 5], [1, 2, 4, 8])]  # fields of 31
    [3.16, 6.06, 7.53]
    """
    return jump**2 * sum(dilation**2 for dilation in dilations) * (kernel_size**2 - 1) / 12
