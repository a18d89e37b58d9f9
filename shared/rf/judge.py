"""The judge of every receptive-field claim: which inputs change this output, by the gradient itself.

Slow and obvious. A gradient says what is connected only if no path can cancel another and no gate is shut, so the
network is first made positive and linear: every weight becomes the same positive number, activations and norms let
through what they are given, a maximum becomes a mean, a product the mean of its factors. Then, in float64, an input
is read exactly if its gradient is not zero. Weights and inputs do not matter, only the connections do.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from shared.rf.field import Field
from shared.rf.positive import POSITIVE
from shared.rf.reach import Reach, of

AT_ONCE = 2**27  # bytes of copies of the input that one pass of the judge may hold


def influence(function: Callable[[Tensor], Tensor], x: Tensor, at: tuple[int, ...]) -> Tensor:
    """Which inputs the output at ``at`` depends on, here and now: with these weights and this input.

    ``x`` is ``[1, c, *axes]`` and so is the output; ``at`` is one index an axis. Returns booleans ``[*axes]``,
    true where any input channel matters to any output channel there.

    >>> conv = nn.Conv1d(1, 1, 3, dilation=2, padding=2)
    >>> influence(conv, torch.randn(1, 1, 9), at=(4,)).int().tolist()
    [0, 0, 1, 0, 1, 0, 1, 0, 0]
    """
    x = x.detach().clone().requires_grad_()
    output = function(x)
    (gradient,) = torch.autograd.grad(output[(slice(None), slice(None), *at)].sum(), x)
    return (gradient != 0).any(dim=1)[0]


def measured_window(model: nn.Module, x: Tensor, axis: int = 0) -> Field:
    """The field of ``model`` along one axis, exactly, measured at the middle of its output.

    Weights are made positive and biases zero on a copy, so that no ReLU shuts a path. The jump is taken from the
    sizes of input and output. ``x`` is ``[1, c, *axes]`` and must be longer than the field.
    """
    model = copy.deepcopy(model).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.abs_().add_(0.01)
            else:
                parameter.abs_()
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    output_sizes = model(x).shape[2:]
    middle = [size // 2 for size in output_sizes]
    jump = x.shape[2 + axis] // output_sizes[axis]
    seen = influence(model, x.abs() + 0.1, at=tuple(middle))
    others = [other for other in range(seen.ndim) if other != axis]
    places = (seen.any(dim=others) if others else seen).nonzero()[:, 0]
    return Field.reading((places - middle[axis] * jump).tolist(), jump=jump)


class Positive(TorchFunctionMode):
    """While it is entered, what is computed is positive and linear in every tensor that needs a gradient."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        moving = any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in tree_leaves((args, kwargs)))
        return (POSITIVE.get(func, func) if moving else func)(*args, **kwargs)


def connections(model: nn.Module, shape: Sequence[int], units: Tensor, output: Callable[[Any], Tensor]) -> Tensor:
    """Which inputs of one item are connected to each of some units of the output.

    ``shape`` is that of the item, without the batch; ``units`` are booleans ``[n, *output shape]`` that mark, for
    each of ``n`` questions, the outputs it is about; ``output`` picks one tensor of what the model returns. Returns
    booleans ``[n, *shape]``. A copy of the model, in evaluation, is asked; norms of training are not judged.
    """
    model = copy.deepcopy(model).double().eval()
    answers = []
    size = max(1, AT_ONCE // (8 * max(1, torch.Size(shape).numel())))
    for some in units.split(size):
        x = torch.ones(len(some), *shape, dtype=torch.float64, requires_grad=True)
        with Positive():
            y = output(model(x))
        answers.append(torch.autograd.grad((y * some).sum(), x)[0] != 0)
    return torch.cat(answers)


def verify(
    model: nn.Module, shape: Sequence[int], *, units: int = 9, output: str | int = 0, reach: Reach | None = None
) -> int:
    """Hold what ``rf.of`` says against the gradient; ``AssertionError`` names the first position that differs.

    ``units`` positions are asked, spread over the output with its corners; the number asked is returned. The network
    runs as often, in float64: seconds for a small one, a minute for a large one.

    >>> verify(nn.Sequential(nn.Conv1d(1, 4, 3, dilation=2), nn.ReLU(), nn.MaxPool1d(2)), (1, 24))
    9
    """
    training, _ = model.training, model.eval()
    try:
        reach = reach or of(model, shape, output=output)
    finally:
        model.train(training)
    if reach.unknown:
        raise AssertionError(f"not exact: there is no rule for {', '.join(reach.unknown)}")
    network = reach.network
    positions = spread(network.shape, units)
    for position in positions:
        units_here = torch.zeros(1, *network.output.shape[1:])
        index: list[Any] = [slice(None)] * units_here.ndim
        for dim, at in zip(network.along, position, strict=True):
            index[dim] = at
        units_here[tuple(index)] = 1
        seen = connections(model, shape, units_here, network.pick)[0]
        said = reach.at(position).inputs
        if not torch.equal(seen, said):
            missed, added = (int((a & ~b).sum()) for a, b in ((seen, said), (said, seen)))
            where = f"output position {position}" if position else "the output"
            raise AssertionError(f"{where}: {missed} inputs read but not named, {added} named but not read")
    return len(positions)


def projective(model: nn.Module, shape: Sequence[int], at: int | Sequence[int]) -> Tensor:
    """Which output positions one input position reaches: booleans in the shape of the output's places.

    It is the receptive field read the other way, found by one pass of the positive network.

    >>> projective(nn.Conv1d(1, 1, 3, dilation=2, padding=2), (1, 9), at=4).int().tolist()
    [0, 0, 1, 0, 1, 0, 1, 0, 0]
    """
    network = of(model, shape).network
    at = (at,) if isinstance(at, int) else tuple(at)
    index: list[Any] = [slice(None)] * (len(shape) + 1)
    for axis, place in zip(network.axes, at, strict=True):
        index[axis] = place
    x = torch.ones(1, *shape, dtype=torch.float64, requires_grad=True)
    asked = copy.deepcopy(model).double().eval()
    with Positive():
        y = network.pick(asked(x))
    wanted = torch.zeros_like(y, requires_grad=True)
    (read,) = torch.autograd.grad(y, x, wanted, create_graph=True)
    (reached,) = torch.autograd.grad(read[tuple(index)].sum(), wanted)  # linear in what is wanted
    others = [dim for dim in range(y.ndim) if dim not in network.along]
    return (reached != 0).any(dim=others) if others else reached != 0


def spread(shape: Sequence[int], most: int) -> list[tuple[int, ...]]:
    """At most so many positions of a shape: its corners and, evenly, others between."""
    each = max(1, int(most ** (1 / max(len(shape), 1)) + 1e-9))
    along = [sorted({round(step * (length - 1) / max(each - 1, 1)) for step in range(each)}) for length in shape]
    return list(product(*along))
