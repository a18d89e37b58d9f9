"""Listens to a forward pass and keeps, for every tensor object, the value that it has at the moment.

Writing into a tensor gives it a new value. Writing into a view gives one to all that shares its memory: the value
goes up to what the view was taken of, as ``write through a view``, and other views are taken again when next read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from shared.rf.trace import Call, Made, Value


@dataclass(slots=True, eq=False)
class _Slot:
    """A tensor object and its value now. A view knows what it is a view of, how, and when it was last looked at."""

    tensor: Tensor  # held, so that its id stays its own
    value: Value
    parent: _Slot | None = None
    view: Value | None = None
    writes: int = 0

    @property
    def root(self) -> _Slot:
        return self if self.parent is None else self.parent.root


class Recorder(TorchDispatchMode):
    """While it is entered, ``calls`` grows by each operation in which the input has a part."""

    def __init__(self, paths: dict[int, str]):
        super().__init__()
        self.paths, self.path = paths, [""]
        self.calls: list[Call] = []
        self.slots: dict[int, _Slot] = {}
        self.within_leaf = False

    @contextmanager
    def hooks(self) -> Iterator[None]:
        """Keeps the path of the module that is running; the modules themselves get no hook."""

        def enter(module: nn.Module, _: Any) -> None:
            self.path.append(self.paths.get(id(module), self.path[-1]))

        def leave(*_: Any) -> None:
            self.path.pop()

        handles = register_module_forward_pre_hook(enter), register_module_forward_hook(leave, always_call=True)
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def slot(self, tensor: Tensor, value: Value, parent: _Slot | None = None) -> _Slot:
        """Remember this tensor."""
        slot = self.slots[id(tensor)] = _Slot(tensor, value, parent, value)
        slot.writes = slot.root.writes
        return slot

    def read(self, tensor: Tensor) -> Value:
        """The value of a tensor now."""
        slot = self.slots.get(id(tensor))
        if slot is None:
            slot = self.slot(tensor, Value(tuple(tensor.shape), tracked=False, contents=tensor))
        return self._current(slot)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        namespace, _, name = func._schema.name.partition("::")
        if namespace == "prim" or self.within_leaf:
            return func(*args, **kwargs)
        if _is_composite(func):  # inference mode takes nothing apart on the way here
            with self:
                return func.decompose(*args, **kwargs)
        given = {
            argument.name: args[at] if at < len(args) else kwargs.get(argument.name, argument.default_value)
            for at, argument in enumerate(func._schema.arguments)
        }
        if func._schema.is_mutable and name.endswith("_"):
            name = name[:-1]
        call = self._call(name if namespace == "aten" else f"{namespace}.{name}", self._values(given))
        call.pointwise, call.run = _is_pointwise(func), _replay(func)
        result = func(*args, **kwargs)
        tensors = list(result) if isinstance(result, list | tuple) else [result]
        for number, tensor in enumerate(tensors):
            self._output(call, tensor, number)
        self._write_back(func._schema, given, call)
        source = self.slots.get(id(args[0])) if func.is_view and args else None
        for tensor, value in zip(tensors, list(call.outputs), strict=True):
            if isinstance(tensor, Tensor) and id(tensor) not in self.slots:
                self.slot(tensor, value, source)
        return result

    def leaf(self, name: str, arguments: dict[str, Any], run: Callable[[], Tensor]) -> Tensor:
        """Note a function as one call, whatever it is made of."""
        call = self._call(name, self._values(arguments))
        self.within_leaf = True
        try:
            result = run()
        finally:
            self.within_leaf = False
        self.slot(result, self._output(call, result))
        return result

    def _call(self, name: str, arguments: dict[str, Any]) -> Call:
        call = Call(name, arguments, self.path[-1])
        if any(value.tracked for value in call.tensors):
            self.calls.append(call)
        return call

    def _output(self, call: Call, like: Any, number: int = 0) -> Value:
        shape, strides = (tuple(like.shape), like.stride()) if isinstance(like, Tensor) else ((), ())
        value = Value(shape, any(each.tracked for each in call.tensors), call, number, None, strides)
        call.outputs.append(value)
        return value

    def _values(self, given: Any) -> Any:
        return tree_map(lambda leaf: self.read(leaf) if isinstance(leaf, Tensor) else leaf, given)

    def _write_back(self, schema: Any, given: dict[str, Any], call: Call) -> None:
        """Give what the operation wrote into its new value."""
        returned = {
            name: number
            for number, each in enumerate(schema.returns)
            if each.alias_info is not None
            for name in each.alias_info.before_set
        }
        for argument in schema.arguments:
            tensor, alias = given[argument.name], argument.alias_info
            if alias is None or not alias.is_write or not isinstance(tensor, Tensor):
                continue
            number = next((returned[name] for name in alias.before_set if name in returned), None)
            if number is not None:
                self._write(self.slots[id(tensor)], call.outputs[number])
            elif any(value.tracked for value in call.tensors):
                silent = self._call(f"{call.name} into its {argument.name}", call.arguments)
                self._write(self.slots[id(tensor)], self._output(silent, tensor))

    def _write(self, slot: _Slot, value: Value) -> None:
        """A new value of this tensor, and so of what it is a view of."""
        if slot.parent is None:
            slot.writes += 1
        else:
            base = self._current(slot.parent)
            through = self._call(
                "write through a view", {"base": base, "source": value, "view": Made(slot.view.call, slot.view.number)}
            )
            self._write(slot.parent, self._output(through, slot.parent.tensor))
        slot.value, slot.writes = value, slot.root.writes

    def _current(self, slot: _Slot) -> Value:
        """A view of something that was written to since is taken once more."""
        if slot.parent is not None and slot.writes != slot.root.writes:
            old = slot.view.call
            first, base = next(iter(old.arguments)), self._current(slot.parent)
            again = self._call(old.name, {**old.arguments, first: base})
            again.run = old.run
            for output in old.outputs:
                again.outputs.append(replace(output, call=again, tracked=base.tracked))
            slot.value, slot.writes = again.outputs[slot.view.number], slot.root.writes
        return slot.value


class Leaves(TorchFunctionMode):
    """Keeps in one piece the functions whose parts would forget which position is which, or where the border is.

    A product with a matrix lays all positions in one row; circular padding copies the border piece by piece.
    """

    def __init__(self, recorder: Recorder):
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        names = _LEAVES.get(func)
        if names is None:
            return func(*args, **kwargs)
        name, *names = names
        arguments = dict(zip(names, args, strict=False)) | kwargs
        if name == "circular_pad" and arguments.get("mode") != "circular":
            return func(*args, **kwargs)
        return self.recorder.leaf(name, arguments, lambda: func(*args, **kwargs))


_PRODUCT = ("matmul", "input", "other")
_LEAVES = {
    F.linear: ("linear", "input", "weight", "bias"),
    torch.matmul: _PRODUCT,
    Tensor.matmul: _PRODUCT,
    Tensor.__matmul__: _PRODUCT,
    F.pad: ("circular_pad", "input", "pad", "mode"),
}


@cache
def _is_composite(func: Any) -> bool:
    implicit = torch._C.DispatchKey.CompositeImplicitAutograd
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), implicit) and implicit not in func.py_kernels


UNTAGGED = {"leaky_relu", "hardswish", "log_sigmoid_forward"}
"""Pointwise operations that torch does not mark as such."""


@cache
def _is_pointwise(func: Any) -> bool:
    """Whether each number of the result comes from one position; the in-place variants of some do not say so."""
    plain = func._schema.name.partition("::")[2].removesuffix("_")
    if torch.Tag.pointwise in func.tags or plain in UNTAGGED:
        return True
    packet = getattr(torch.ops.aten, plain, None) if func._schema.is_mutable else None
    return packet is not None and any(torch.Tag.pointwise in getattr(packet, each).tags for each in packet.overloads())


def _replay(func: Any) -> Callable[[dict[str, Any]], Any]:
    """The operation on real tensors; what it would write into is a copy."""
    names = [argument.name for argument in func._schema.arguments]
    by_keyword = {argument.name for argument in func._schema.arguments if argument.kwarg_only}

    def run(arguments: dict[str, Any]) -> Any:
        copies = {name: value.clone() if isinstance(value, Tensor) else value for name, value in arguments.items()}
        return func(
            *(copies[name] for name in names if name not in by_keyword), **{name: copies[name] for name in by_keyword}
        )

    return run
