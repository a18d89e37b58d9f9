"""From what is wanted of an output back to what it reads of the input: one walk through a trace, last call first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from shared.rf import pull_axes, pull_shapes, pull_windows  # noqa: F401  (they register their rules)
from shared.rf.boxes import Box, Boxes, Indices, clipped, hull, replaced, united
from shared.rf.rules import EXACT_IF, LOCAL, RULES, Need, Pulled, elementwise, everything, nothing
from shared.rf.trace import Call, Trace, Value


@dataclass(frozen=True)
class Requirement:
    """What a walk found: the boxes wanted of every value, and the calls that it went through."""

    boxes: Mapping[Value, Boxes] = field(repr=False)
    calls: tuple[Call, ...] = field(repr=False)

    def of(self, value: Value) -> Boxes:
        """What is wanted of this value."""
        return self.boxes.get(value, ())


def known(call: Call) -> bool:
    """Whether the call has an exact rule."""
    if call.name not in RULES:
        return call.pointwise
    return call.name not in EXACT_IF or EXACT_IF[call.name](call)


def pulled(call: Call, need: Need, *, local: bool = False) -> Pulled:
    """What a box of a result takes of the tracked arguments; ``local``: without the axes read as a whole."""
    if not known(call):
        rule = nothing if local else everything
    else:
        rule = RULES.get(call.name, elementwise)
        rule = LOCAL.get(call.name, rule) if local else rule
    return ((value, box) for value, box in rule(call, need) if value.tracked)


def walk(
    trace: Trace, value: Value, boxes: Boxes, *, bounded: bool = True, local: Collection[Call] = frozenset()
) -> Requirement:
    """Everything that ``boxes`` of ``value`` are computed from.

    ``bounded``: positions in the padding read nothing, which is the truth; otherwise the picture goes on there, which
    is how receptive fields are quoted. The calls in ``local`` are taken without the axes that they read as a whole.
    """
    wanted: dict[Value, list[Box]] = {value: list(boxes)}
    found: dict[Value, Boxes] = {}
    passed: list[Call] = []
    for call in reversed(trace.calls):
        for output in call.outputs:
            if output not in wanted:
                continue
            found[output] = united(wanted.pop(output))
            passed.append(call)
            for box in found[output]:
                for source, part in pulled(call, Need(box, output.number, bounded), local=call in local):
                    inside = clipped(part, source.shape) if bounded else part
                    if inside is not None and all(inside):
                        wanted.setdefault(source, []).append(inside)
    found.update((rest, united(parts)) for rest, parts in wanted.items())
    return Requirement(found, tuple(reversed(passed)))


def whole_readers(trace: Trace, requirement: Requirement, axes: Collection[int]) -> dict[Call, frozenset[int]]:
    """Calls on the way that read whole axes of the input, each with these.

    An operation reads a whole axis if taking all of some dimension, not one index of it, brings in at least half of
    the input along that axis: a norm over channels does not, the same norm over an image does. The calls nearest the
    input are asked first, and later ones are seen without them.
    """
    found: dict[Call, frozenset[int]] = {}
    for call in requirement.calls:
        if known(call) and call.name not in LOCAL:
            continue
        brought: set[int] = set()
        asked: set[tuple[Value, int]] = set()
        for number, output in enumerate(call.outputs):
            if not requirement.of(output):
                continue
            for end in (0, 1):  # sums so far, and states, read all from one end only
                corner = tuple(Indices.span(end * (length - 1), end * (length - 1) + 1) for length in output.shape)
                for value, box in pulled(call, Need(corner, number)):
                    for dim, indices in enumerate(box):
                        if 1 < len(indices) == value.shape[dim] and (value, dim) not in asked:
                            asked.add((value, dim))
                            one = replaced(box, dim, Indices.span(len(indices) // 2, len(indices) // 2 + 1))
                            brought |= _added(trace, value, one, box, axes, found)
        if brought:
            found[call] = frozenset(brought)
    return found


def runs_along(trace: Trace, value: Value, axes: Collection[int], local: Collection[Call]) -> dict[int, frozenset[int]]:
    """Which dimensions of ``value`` run along input axes, and along which.

    A dimension runs along an axis if going through it moves what is read. If several do, the one that moves it
    furthest: channels of a space-to-depth move the position too, a little. A length of 1 moves nothing; it is taken
    for the same dimension of the input if value and input have equally many.
    """
    first = [Indices.span(0, 1), *(Indices.span(length // 2, length // 2 + 1) for length in value.shape[1:])]
    moves: dict[int, dict[int, float]] = {}
    for dim, length in list(enumerate(value.shape))[1:]:
        ends = []
        for at in (length // 4, length - 1):  # not 0, where some networks keep a token of their own
            box = replaced(tuple(first), dim, Indices.span(at, at + 1))
            read = hull(walk(trace, value, (box,), bounded=False, local=local).of(trace.input))
            ends.append([(indices.first + indices.last) / 2 for indices in read])
        if all(ends):
            moves[dim] = {axis: abs(ends[1][axis] - ends[0][axis]) for axis in axes}
    found: dict[int, set[int]] = {}
    for axis in axes:
        furthest = max(moves, key=lambda dim: moves[dim][axis], default=None)
        if furthest is not None and moves[furthest][axis] > 0:
            found.setdefault(furthest, set()).add(axis)
        elif len(value.shape) == len(trace.input.shape) and value.shape[axis] == 1:
            found.setdefault(axis, set()).add(axis)
    return {dim: frozenset(found[dim]) for dim in sorted(found)}


def _added(
    trace: Trace, value: Value, one: Box, every: Box, axes: Collection[int], local: Collection[Call]
) -> set[int]:
    """The axes along which ``every`` reads more than ``one`` does, by half of the axis or more."""
    less, more = (hull(walk(trace, value, (box,), bounded=False, local=local).of(trace.input)) for box in (one, every))
    return {
        axis
        for axis in axes
        if more and 2 * (more[axis].size - (less[axis].size if less else 0)) >= trace.input.shape[axis] > 1
    }
