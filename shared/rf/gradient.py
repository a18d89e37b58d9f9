"""The judge of every receptive-field claim: which inputs change this output, by the gradient itself.

Slow and obvious. With all weights positive no path can cancel another, so a zero gradient means "not connected".
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from shared.rf.window import Window


def influence(function: Callable[[Tensor], Tensor], x: Tensor, at: tuple[int, ...]) -> Tensor:
    """Which inputs the output at ``at`` depends on.

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


def measured_window(model: nn.Module, x: Tensor, axis: int = 0) -> Window:
    """The window of ``model`` along one axis, measured at the middle of its output.

    Weights are made positive and biases zero on a copy, so that no ReLU shuts a path. The jump is taken from the
    sizes of input and output. ``x`` is ``[1, c, *axes]`` and must be longer than the window.
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
    first, last = int(places[0]), int(places[-1])
    return Window(size=last - first + 1, jump=jump, offset=first - middle[axis] * jump)
