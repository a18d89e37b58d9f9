"""A recorded network that can be asked: which of its output dimensions are places, and what a place reads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from shared.rf.boxes import Boxes, Indices, hull, united, whole
from shared.rf.pull import Requirement, runs_along, walk, whole_readers
from shared.rf.record import named
from shared.rf.trace import Call, Trace, Value

FAR = 5040  # a multiple of every small number: after so many outputs, whatever repeats has come round


@dataclass(frozen=True, eq=False)
class Network:
    """A recorded network: its trace, the output asked about, and which input dimensions are places."""

    trace: Trace
    name: str
    axes: tuple[int, ...]
    readers: Mapping[Call, frozenset[int]] | None = None
    """The calls that read whole axes, if they are known already."""

    @property
    def output(self) -> Value:
        """The output asked about."""
        return self.trace.outputs[self.name]

    def pick(self, result: Any) -> Tensor:
        """The output asked about, among what a call of the model returned."""
        return dict(named(result))[self.name]

    @cached_property
    def along(self) -> dict[int, frozenset[int]]:
        """The dimensions of the output that are places, each with the input axes that it runs along."""
        return runs_along(self.trace, self.output, self.axes, self.whole_readers)

    @cached_property
    def placed(self) -> dict[int, int]:
        """For each input axis that has a dimension of the output to itself: which of the output's places that is."""
        return {axis: at for at, axes in enumerate(self.along.values()) if len(axes) == 1 for axis in axes}

    @cached_property
    def whole_readers(self) -> Mapping[Call, frozenset[int]]:
        """The calls that read whole axes, and which."""
        if self.readers is not None:
            return self.readers
        everywhere = walk(self.trace, self.output, (whole(self.output.shape),))
        return whole_readers(self.trace, everywhere, self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many positions the output has along each of its places."""
        return tuple(self.output.shape[dim] for dim in self.along)

    def require(
        self, position: Sequence[int], *, bounded: bool, channel: int | None = None, finite: bool = False
    ) -> Requirement:
        """Walk from one output position, all its channels or one, of the first item of the batch."""
        box = [Indices.span(0, length) for length in self.output.shape]
        if box:
            box[0] = Indices.span(0, 1)
        if channel is not None:
            (dim,) = [dim for dim in range(1, len(box)) if dim not in self.along]
            box[dim] = Indices.span(channel, channel + 1)
        for dim, at in zip(self.along, position, strict=True):
            box[dim] = Indices.span(at, at + 1)
        local = self.whole_readers if finite else ()
        return walk(self.trace, self.output, (tuple(box),), bounded=bounded, local=local)

    def read(self, requirement: Requirement) -> Boxes:
        """What is read of the input, axes only."""
        return united(tuple(box[axis] for axis in self.axes) for box in requirement.of(self.trace.input))

    @cached_property
    def jumps(self) -> dict[int, Fraction]:
        """For each placed axis, how far the input position moves from one output to the next, on average."""
        return {axis: jump for axis, (jump, _) in self._pace.items()}

    @cached_property
    def periods(self) -> dict[int, int]:
        """For each placed axis, after how many outputs what is read has the same form again."""
        return {axis: period for axis, (_, period) in self._pace.items()}

    @property
    def middle(self) -> tuple[int, ...]:
        """The position in the middle of the output."""
        return tuple(length // 2 for length in self.shape)

    @cached_property
    def _pace(self) -> dict[int, tuple[Fraction, int]]:
        """By looking far ahead: what is wanted of each tensor has then moved by its own jump times the distance."""
        distance = FAR * math.lcm(*self.shape)
        here = self.require(self.middle, bounded=False, finite=True)
        pace = {}
        for axis, place in self.placed.items():
            position = [at + distance * (place == other) for other, at in enumerate(self.middle)]
            there = self.require(position, bounded=False, finite=True)
            moved = {
                value: [Fraction(b.first - a.first, distance) for a, b in zip(hull(boxes), ahead, strict=True)]
                for value, boxes in here.boxes.items()
                if (ahead := hull(there.of(value)))
            }
            if self.trace.input in moved:
                period = math.lcm(*(jump.denominator for jumps in moved.values() for jump in jumps))
                pace[axis] = (moved[self.trace.input][axis], period)
        return pace


def raster(boxes: Boxes, shape: tuple[int, ...]) -> Tensor:
    """Boxes as booleans of this shape."""
    result = torch.zeros(shape, dtype=torch.bool)
    for box in boxes:
        places = [torch.tensor(list(indices), dtype=torch.long) for indices in box]
        result[torch.meshgrid(*places, indexing="ij") if len(places) > 1 else places[0]] = True
    return result
