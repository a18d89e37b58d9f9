"""The exact receptive field of any module: ``of(model, shape)`` says which inputs one output is computed from.

The network is recorded once, without running its weights (``record``), and walked backwards from an output position
(``pull``). What is found is structural: a position counts as read if some path leads from it to the output, whatever
the weights. Operations that read a whole axis are named and set apart, and so are those that have no rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from torch import Tensor, nn

from shared.rf.bits import full
from shared.rf.boxes import Boxes, Indices, hull
from shared.rf.field import Field
from shared.rf.network import Network, raster
from shared.rf.pull import Requirement, known, walk
from shared.rf.record import record
from shared.rf.trace import Call, Trace


def of(
    model: nn.Module,
    shape: Sequence[int] | Tensor,
    *,
    output: str | int = 0,
    axes: Sequence[int] | None = None,
) -> Reach:
    """What the middle position of an output reads of the input.

    ``shape`` is that of one item: ``(channels, *axes)``, or ``(length,)`` without channels. A tensor, batch included,
    serves too, where the model takes integers, or does something else depending on what the numbers are. ``output``
    is the number or name of the result that is asked about; ``axes`` are the input dimensions that are places, batch
    counted: all after the channels, unless said otherwise.

    >>> of(nn.Conv2d(3, 8, 3, dilation=2), (3, 32, 32)).axes[0]
    <5 [0..+4], jump 1, 60% of the span is read>
    >>> print(of(nn.Sequential(nn.Conv1d(1, 4, 7), nn.MaxPool1d(2), nn.Conv1d(4, 1, 3)), (1, 100)))
    12 [0..+11], jump 2, gap-free
    """
    trace = record(model, shape if isinstance(shape, Tensor) else tuple(shape))
    rank = len(trace.input.shape)
    places = tuple(axes) if axes is not None else tuple(range(2, rank)) if rank > 2 else tuple(range(1, rank))
    if not all(0 < axis < rank for axis in places):
        raise ValueError(f"axes are dimensions 1 to {rank - 1} of the input, not {list(places)}")
    return Reach(Network(trace, _chosen(trace, output), places))


@dataclass(frozen=True, eq=False)
class Reach:
    """What one output position reads; ``of`` makes it, ``at`` asks about another position.

    Two answers are given. ``axes``, ``size`` and ``box`` are the textbook's: as if the picture went on past its
    border (in torch's paddings; where a network itself goes round, as in circular padding, its own positions count).
    ``mask`` is the truth at this position of a picture of this size.
    """

    network: Network = field(repr=False)
    position: tuple[int, ...] = None
    channel: int | None = None
    without_whole: bool = False

    def __post_init__(self):
        if self.position is None:
            object.__setattr__(self, "position", self.network.middle)

    def at(self, position: int | Sequence[int], channel: int | None = None) -> Reach:
        """The same about another output position, of all channels or of one.

        >>> of(nn.Conv1d(1, 1, 3, padding=1), (1, 5)).at(4).mask.int().tolist()
        [0, 0, 0, 1, 1]
        """
        position = (position,) if isinstance(position, int) else tuple(position)
        shape = self.network.shape
        if len(position) != len(shape) or not all(0 <= at < length for at, length in zip(position, shape, strict=True)):
            raise ValueError(f"{position} is no position of an output of {shape}")
        return replace(self, position=position, channel=channel)

    @cached_property
    def axes(self) -> tuple[Field, ...]:
        """A ``Field`` an axis, of what is read without the operations that read everything.

        Offsets count from the input position ``⌊position · jump⌋``. Where outputs outnumber inputs, or a scale is
        crooked, the jump is a fraction.
        """
        fields, found = [], hull(self._boxes)
        for axis in self.network.axes:
            is_global = any(axis in axes for axes in self.global_calls.values())
            jump = self.network.jumps.get(axis, 1)
            indices = found[self.network.axes.index(axis)] if found else Indices(0, 0)
            if indices:
                place = self.network.placed.get(axis)
                origin = 0 if place is None else math.floor(self.position[place] * jump)
                unread = full(indices.size) ^ indices.bits
                shown = int(jump) if jump == int(jump) else jump
                fields.append(Field(indices.size, shown, indices.first - origin, unread, is_global))
            else:
                fields.append(Field(0, is_global=is_global))
        return tuple(fields)

    @property
    def size(self) -> tuple[int, ...]:
        """From the first to the last position read, an axis; whole readers apart."""
        return tuple(each.size for each in self.axes)

    @property
    def box(self) -> tuple[tuple[int, int], ...]:
        """The first and the last position read, an axis; negative ones and those past the end lie in the padding."""
        return tuple((each.first, each.last) for each in hull(self._boxes))

    @cached_property
    def coverage(self) -> float:
        """The share of the box that is read, over all axes together."""
        if not self._boxes:
            return 1.0
        shape = tuple(last - first + 1 for first, last in self.box)
        moved = [tuple(i.moved(-low) for i, (low, _) in zip(each, self.box, strict=True)) for each in self._boxes]
        return raster(tuple(moved), shape).double().mean().item()

    @cached_property
    def mask(self) -> Tensor:
        """Which inputs are read, as booleans ``[*axes]``; any channel counts. Whole readers included."""
        shape = tuple(self.network.trace.input.shape[axis] for axis in self.network.axes)
        return raster(self.network.read(self._require(bounded=True)), shape)

    @cached_property
    def inputs(self) -> Tensor:
        """Which inputs are read, channels apart: booleans in the shape of one item."""
        return self._items(self._require(bounded=True).of(self.network.trace.input))

    def unit(self, at: Sequence[int]) -> Tensor:
        """What one number of the output reads, given by its index without the batch: as ``inputs`` says it.

        >>> of(nn.Conv1d(4, 4, 1, groups=2), (4, 2)).unit((3, 1)).int().tolist()
        [[0, 0], [0, 0], [0, 1], [0, 1]]
        """
        box = (Indices.span(0, 1), *(Indices.span(each, each + 1) for each in at))
        boxes = walk(self.network.trace, self.network.output, (box,)).of(self.network.trace.input)
        return self._items(boxes)

    @property
    def global_calls(self) -> Mapping[Call, frozenset[int]]:
        """The operations that read whole axes, each with these; none in a ``finite`` answer."""
        return {} if self.without_whole else self.network.whole_readers

    @property
    def is_global(self) -> bool:
        """Whether some operation reads the whole input along an axis."""
        return bool(self.global_calls)

    @property
    def global_via(self) -> tuple[str, ...]:
        """The module paths of these operations, or their names outside of any module.

        >>> of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)), (3, 9, 9)).global_via
        ('1',)
        """
        return tuple(dict.fromkeys(call.path or call.name for call in self.global_calls))

    @property
    def finite(self) -> Reach:
        """The same without the operations that read everything: what is left is local."""
        return replace(self, without_whole=True)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Operations without a rule, with the module they are in. They are taken to read everything: an upper bound.

        Empty means that the answer is exact.
        """
        calls = self.network.require(self.position, bounded=False).calls
        return tuple(dict.fromkeys(f"{call.name} in {call.path or 'the model'}" for call in calls if not known(call)))

    @cached_property
    def phases(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For every kind of output position there is, what it reads before its own input cell and after it, an axis.

        Positions repeat with the strides inside the network: four kinds in a U-Net that pools twice.
        """
        if self.is_global:
            raise ValueError(f"the whole input is read, via {', '.join(self.global_via)}; ask .finite for the rest")
        placed = self.network.placed
        if len(placed) < len(self.network.along) or len(placed) < len(self.network.axes):
            raise ValueError("the output has no place for each axis of the input, so there is no before and after")
        spans = [self._span_of_kinds(axis) for axis in placed]
        kinds = []
        for step in range(max(map(len, spans))):
            position = [0] * len(placed)
            for axis, span in zip(placed, spans, strict=True):
                position[placed[axis]] = span[step % len(span)]
            requirement = self.network.require(position, bounded=False, finite=True, channel=self.channel)
            found = dict(zip(self.network.axes, hull(self.network.read(requirement)), strict=True))
            kinds.append(tuple(self._around(axis, position[placed[axis]], found[axis]) for axis in self.network.axes))
        return tuple(kinds)

    @property
    def history(self) -> tuple[int, ...]:
        """How many inputs before its own an output can read, an axis: the most of any position."""
        return tuple(max(0, *(before for before, _ in kinds)) for kinds in zip(*self.phases, strict=True))

    @property
    def lookahead(self) -> tuple[int, ...]:
        """How many inputs after its own cell an output can read, an axis; 0 is causal, else the latency of a stream."""
        return tuple(max(0, *(after for _, after in kinds)) for kinds in zip(*self.phases, strict=True))

    @property
    def largest(self) -> tuple[int, ...]:
        """The size of the largest field of any position, an axis; the same as ``size`` where all are alike."""
        cells = [math.ceil(self.network.jumps[axis]) for axis in self.network.axes]
        return tuple(
            max(before + cell + after for before, after in kinds)
            for cell, kinds in zip(cells, zip(*self.phases, strict=True), strict=True)
        )

    def halo(self, align: int = 1) -> tuple[int, ...]:
        """The margin, an axis, with which a tile answers inside as the whole picture does, in multiples of ``align``.

        Tiles must begin at multiples of the network's coarsest stride.
        """
        return tuple(
            -(-max(before, after) // align) * align for before, after in zip(self.history, self.lookahead, strict=True)
        )

    def __str__(self) -> str:
        """A line an axis, and one for what is global and one for what is unknown, if anything is."""
        lines = [str(each) for each in self.axes]
        lines += [f"the whole input via {', '.join(self.global_via)}"] if self.is_global else []
        lines += [f"no rule for {', '.join(self.unknown)}: taken to read everything"] if self.unknown else []
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<{'; '.join(str(self).splitlines())}>"

    def _items(self, boxes: Boxes) -> Tensor:
        """Of the first item of the batch, all dimensions."""
        own = tuple(box[1:] for box in boxes if 0 in box[0])
        return raster(own, self.network.trace.input.shape[1:])

    def _span_of_kinds(self, axis: int) -> range:
        """Positions that show every kind there is along an axis, as near the middle as they can be."""
        length, period = self.network.shape[self.network.placed[axis]], self.network.periods[axis]
        start = min(length // 2, max(length - period, 0))
        return range(start, min(start + period, length))

    def _around(self, axis: int, position: int, read: Indices) -> tuple[int, int]:
        """How much is read before the cell of the input that this output stands for, and after it."""
        jump = self.network.jumps[axis]
        return math.floor(position * jump) - read.first, read.last - math.ceil((position + 1) * jump) + 1

    def _require(self, *, bounded: bool) -> Requirement:
        return self.network.require(
            self.position, bounded=bounded, channel=self.channel, finite=self.without_whole or not bounded
        )

    @cached_property
    def _boxes(self) -> Boxes:
        return self.network.read(self._require(bounded=False))


def _chosen(trace: Trace, output: str | int) -> str:
    names = list(trace.outputs)
    if isinstance(output, int) and 0 <= output < len(names):
        return names[output]
    if output in names:
        return output
    raise ValueError(f"there is no output {output!r}; there are {', '.join(names)}")
