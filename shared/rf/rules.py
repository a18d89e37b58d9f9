"""How one operation is read backwards: given what is wanted of its result, what that takes of its arguments.

A rule takes a call and a ``Need`` (a box of one of its results) and yields boxes of its arguments. Rules are exact,
and linear over unions, so that a box at a time is enough. They are kept by the name of the ATen operation, here and
in ``pull_windows``, ``pull_axes`` and ``pull_shapes``. What has no rule takes everything, and is reported.

Positions outside a tensor are legal unless ``bounded``: then they stand for a picture that goes on past its border.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from shared.rf.boxes import ZERO, Box, Indices, whole
from shared.rf.trace import Call, Value


@dataclass(frozen=True, slots=True)
class Need:
    """What is wanted: a box of the ``number``-th result. ``bounded``: nothing lies outside a tensor."""

    box: Box
    number: int = 0
    bounded: bool = True


Pulled = Iterable[tuple[Value, Box]]
Rule = Callable[[Call, Need], Pulled]

RULES: dict[str, Rule] = {}
"""The rule of each operation that has one, pointwise ones apart."""
LOCAL: dict[str, Rule] = {}
"""Operations that read a whole axis, each with what it still reads without that: its own position, or nothing."""


EXACT_IF: dict[str, Callable[[Call], bool]] = {}
"""Operations whose rule holds for some calls only, and for which."""


def rule(
    *names: str, local: Rule | None = None, exact_if: Callable[[Call], bool] | None = None
) -> Callable[[Rule], Rule]:
    """Register the rule of these operations; ``local`` says that they read a whole axis, ``exact_if`` when it holds."""

    def register(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
            if local is not None:
                LOCAL[name] = local
            if exact_if is not None:
                EXACT_IF[name] = exact_if
        return function

    return register


def nothing(call: Call, need: Need) -> Pulled:  # noqa: ARG001
    """What depends on no argument's contents, as zeros do."""
    return ()


def everything(call: Call, need: Need) -> Pulled:  # noqa: ARG001
    """All of every argument: for what is not known."""
    for value in call.tensors:
        yield value, whole(value.shape)


def elementwise(call: Call, need: Need) -> Pulled:
    """The same position of every argument, spread where it is smaller than the result."""
    shape = call.outputs[need.number].shape
    for value in call.tensors:
        if value.tracked:
            yield value, broadcast(need.box, shape, value.shape)


def own_position(call: Call, need: Need) -> Pulled:
    """The same position of the first argument."""
    yield first(call), need.box


def first(call: Call) -> Value:
    """The first tensor among the arguments."""
    return call.tensors[0]


def besides(call: Call, *names: str) -> Iterator[tuple[Value, Box]]:
    """All of every tracked tensor that is not one of these arguments: weights that were themselves computed."""
    known = [call[name] for name in names]
    for value in call.tensors:
        if value.tracked and not any(value is each for each in known):
            yield value, whole(value.shape)


def broadcast(box: Box, shape: tuple[int, ...], smaller: tuple[int, ...]) -> Box:
    """What a box of ``shape`` takes of a tensor that was spread to it.

    A length of 1 on both sides is not spreading: there the box may lie outside.
    """
    lead = len(shape) - len(smaller)
    return tuple(ZERO if length == 1 and shape[lead + at] != 1 else box[lead + at] for at, length in enumerate(smaller))


def along(shape: tuple[int, ...], dim: int) -> Indices:
    """All of one dimension."""
    return Indices.span(0, shape[dim])


for _name in ("clone", "_to_copy", "alias", "detach", "lift", "lift_fresh", "lift_fresh_copy", "native_dropout"):
    RULES[_name] = own_position
for _name in ("_prelu_kernel", "masked_fill", "rrelu_with_noise", "polar", "complex", "contiguous", "fake_quantize"):
    RULES[_name] = elementwise
for _name in ("fill", "zero", "bernoulli", "normal", "uniform", "exponential", "random"):
    RULES[_name] = nothing
for _name in ("empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "randint_like"):
    RULES[_name] = nothing
for _name in ("new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided"):
    RULES[_name] = nothing


@rule("copy")
def _copy(call: Call, need: Need) -> Pulled:
    yield call["src"], broadcast(need.box, call.outputs[0].shape, call["src"].shape)
