"""A forward pass as a graph: values, the calls that made them, and a trace of all calls in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A tensor at one moment. ``tracked`` says whether the input has any part in it."""

    shape: tuple[int, ...]
    tracked: bool
    call: Call | None = None
    number: int = 0
    contents: Tensor | None = field(default=None, repr=False)
    """The tensor itself where it came from outside, a weight say."""
    strides: tuple[int, ...] = field(default=(), repr=False)
    """How it lies in memory: from one index to the next, in numbers."""


@dataclass(slots=True, eq=False)
class Call:
    """One operation: its name (``in-place`` variants have the plain one's), arguments by name, results, module path."""

    name: str
    arguments: dict[str, Any]
    path: str
    pointwise: bool = False
    run: Callable[[], Any] | None = field(default=None, repr=False)
    outputs: list[Value] = field(default_factory=list, repr=False)

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]

    @property
    def tensors(self) -> list[Value]:
        """Every tensor among the arguments."""
        return [leaf for leaf in tree_leaves(list(self.arguments.values())) if isinstance(leaf, Value)]


@dataclass(frozen=True, eq=False)
class Trace:
    """A forward pass: ``input``, the calls in order, and the tensors that came out, by name."""

    input: Value
    calls: tuple[Call, ...]
    outputs: dict[str, Value]
    kinds: dict[str, str]
    """The class of the module at each path."""


@dataclass(frozen=True)
class Made:
    """How a view was made: which call, which of its results."""

    call: Call
    number: int


def contents(value: Value) -> Tensor | None:
    """The numbers of a value on which the input has no part, an index table say; None if it has."""
    if value.tracked:
        return None
    if value.contents is None and value.call is not None:
        arguments = tree_map(lambda leaf: contents(leaf) if isinstance(leaf, Value) else leaf, value.call.arguments)
        result = value.call.run(arguments) if value.call.run else None
        return result[value.number] if isinstance(result, list | tuple) else result
    return value.contents
