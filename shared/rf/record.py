"""What a module computes, written down: one forward pass on tensors without contents, call by call.

The pass runs on fake tensors, which have a shape and no memory, so weights are neither read nor multiplied. Below
autograd every operation is one of PyTorch's ATen calls, whatever the Python around it looks like: functions, control
flow and modules of any library alike. Writing into a tensor makes a new value here, and writing into a view makes a
new value of all that shares its memory, so that the record is a plain graph of values.

The module is left as it was: its mode, hooks, buffers, attributes and running statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch._dynamo.config  # fake tensors import it anyway, seconds later: here, so that no answer waits for it
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode

from shared.rf.recorder import Leaves, Recorder
from shared.rf.trace import Trace, Value


def record(model: nn.Module | Callable[[Tensor], Any], like: tuple[int, ...] | Tensor) -> Trace:
    """Write down what ``model`` does with one input.

    ``like`` is the shape of one item, without the batch: two such items are passed, of the dtype and on the device of
    the model's first parameter. Or it is a tensor, batch included, where another dtype is wanted. A model whose
    course depends on the numbers themselves is run for real if it was given a tensor, and refused with ``ValueError``
    if not.

    >>> trace = record(nn.Conv1d(3, 8, 5), (3, 100))
    >>> [(call.name, call["dilation"], call.outputs[0].shape) for call in trace.calls]
    [('convolution', [1], (2, 8, 96))]
    """
    given = isinstance(like, Tensor)
    try:
        return _recorded(model, like if given else _blank(model, like))
    except (DataDependentOutputException, DynamicOutputShapeException) as error:
        if given:
            return _recorded(model, like, real=True)
        advice = "give a tensor in place of the shape, with which it is run for real"
        raise ValueError(f"{type(model).__name__} depends on the numbers ({error.func}); {advice}") from error


def _blank(model: Any, shape: tuple[int, ...]) -> Tensor:
    parameters = model.parameters() if isinstance(model, nn.Module) else ()
    like = next((each for each in parameters if each.is_floating_point()), torch.empty(0))
    return torch.empty((), dtype=like.dtype, device=like.device).expand(2, *shape)


def _recorded(model: Any, like: Tensor, real: bool = False) -> Trace:
    modules = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
    recorder = Recorder({id(module): path for path, module in reversed(modules.items())})
    world: AbstractContextManager = nullcontext() if real else FakeTensorMode(allow_non_fake_inputs=True)
    with torch.no_grad(), _mha_in_parts(), torch.random.fork_rng([]), _unchanged(modules.values()), world:
        item = like.detach().clone() if real else torch.empty_like(like)
        given = recorder.slot(item, Value(tuple(item.shape), tracked=True, strides=item.stride())).value
        with recorder.hooks(), recorder, Leaves(recorder):
            result = model(item)
        outputs = {name: recorder.read(leaf) for name, leaf in named(result) if isinstance(leaf, Tensor)}
    if not outputs:
        raise ValueError(f"{type(model).__name__} returned no tensor")
    return Trace(given, tuple(recorder.calls), outputs, {path: type(each).__name__ for path, each in modules.items()})


def named(result: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested results, by the keys or numbers that lead to them."""
    if isinstance(result, dict):
        entries = result.items()
    elif isinstance(result, tuple | list):
        entries = enumerate(result)
    elif hasattr(result, "__dataclass_fields__"):
        entries = vars(result).items()
    else:
        yield name, result
        return
    for key, value in entries:
        yield from named(value, f"{name}.{key}" if name else str(key))


@contextmanager
def _mha_in_parts() -> Iterator[None]:
    """Attention layers as their steps, not as the one operation that evaluation has for them."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def _unchanged(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Afterwards every attribute and every buffer of every module is what it was before."""
    modules = list(modules)
    before = [
        (module, {name: dict(value) if type(value) is dict else value for name, value in vars(module).items()})
        for module in modules
    ]
    buffers = [
        (buffer, buffer.clone()) for module in modules for buffer in module.buffers(recurse=False) if not buffer.is_meta
    ]
    try:
        yield
    finally:
        for module, attributes in before:
            vars(module).clear()
            vars(module).update(attributes)
        for buffer, saved in buffers:
            if not torch.equal(buffer, saved):
                buffer.copy_(saved)
