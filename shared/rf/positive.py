"""The positive, linear stand-in of each of torch's functions: ``judge`` runs networks on these.

Every stand-in reads what the original reads, with weights above zero. Averages are used throughout, so that deep
networks neither overflow nor vanish in float64. Tensors that need no gradient are constants: they only give shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def _same(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return x


def _weighted(function: Callable) -> Callable:
    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ARG001
        even = torch.full_like(weight, 1 / max(weight[0].numel(), 1), requires_grad=False)
        return function(x, even.detach(), None, *args, **kwargs)

    return run


def _pooled(function: Callable, axes: int) -> Callable:
    """A maximum as a mean; with dilation, which averages lack, as a convolution channel by channel."""

    def run(
        x: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: Any = False,
        **_: Any,
    ) -> Tensor:
        kernel, step, margin, rate = (
            [each] * axes if isinstance(each, int) else list(each)
            for each in (kernel_size, stride or kernel_size, padding, dilation)
        )
        if all(each == 1 for each in rate):
            return function(x, kernel, step, margin, ceil_mode)
        conv = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
        weight = torch.ones(x.shape[1], 1, *kernel, dtype=x.dtype)
        return conv(x, weight, None, step, margin, rate, x.shape[1])

    return run


def _adaptive(function: Callable) -> Callable:
    return lambda x, output_size, **_: function(x, output_size)


def _mixed(*tensors: Any) -> Any:
    """The mean of all that depend on the input, in the shape that they have together."""
    held = [each for each in tensors if isinstance(each, Tensor)]
    shape = torch.broadcast_shapes(*(each.shape for each in held))
    moving = [each.expand(shape) for each in held if each.requires_grad]
    return sum(moving) / len(moving) if moving else held[0].expand(shape)


def _combined(x: Any, y: Any = None, *_: Any, **__: Any) -> Any:
    return _mixed(x, y)


def _combined_in_place(x: Tensor, y: Any, *_: Any, **__: Any) -> Tensor:
    return x.copy_(_mixed(x, y))


def _with_mean(x: Tensor, dims: Any) -> Tensor:
    return (x + x.mean(dims, keepdim=True)) / 2


def _group_norm(x: Tensor, groups: int, *_: Any, **__: Any) -> Tensor:
    grouped = x.reshape(x.shape[0], groups, -1)
    return _with_mean(grouped, 2).reshape(x.shape)


def _instance_norm(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return _with_mean(x, list(range(2, x.ndim)))


def _layer_norm(x: Tensor, normalized_shape: Any, *_: Any, **__: Any) -> Tensor:
    return _with_mean(x, list(range(x.ndim - len(normalized_shape), x.ndim)))


def _softmax(x: Tensor, dim: int | None = None, *_: Any, **__: Any) -> Tensor:
    return _with_mean(x, -1 if dim is None else dim)


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    return _mixed(a.mean(-1, keepdim=True), b.mean(-2, keepdim=True))


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, is_causal: bool = False, **__: Any) -> Tensor:
    seen = torch.ones(query.shape[-2], key.shape[-2], dtype=query.dtype)
    seen = seen.tril() if is_causal else seen
    seen = seen / seen.sum(1, keepdim=True)
    return (query.mean(-1, keepdim=True) + seen @ key.mean(-1, keepdim=True) + seen @ value) / 3


def _interpolate(
    x: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: Any = None,
    recompute_scale_factor: Any = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    """Torch's own weights, axis by axis, without sign and without what rounding leaves in place of zero."""
    axes = x.ndim - 2
    sizes = [size] * axes if isinstance(size, int) else size
    factors = [scale_factor] * axes if isinstance(scale_factor, int | float) else scale_factor
    axis_mode = "linear" if mode in ("bilinear", "trilinear") else mode
    for axis in range(axes):
        length = x.shape[2 + axis]
        basis = torch.eye(length, dtype=x.dtype)[:, None]
        options: dict[str, Any] = {"mode": axis_mode, "align_corners": align_corners}
        given: dict[str, Any] = {"size": sizes and [sizes[axis]], "scale_factor": factors and [factors[axis]]}
        if axis_mode == "bicubic" or antialias:  # of two axes only; the other has length 1
            basis = basis[:, :, None]
            options["mode"] = "bilinear" if axis_mode == "linear" else axis_mode
            options["antialias"] = antialias
            given = {name: value and [1, *value] for name, value in given.items()}
        if options["align_corners"] is None:
            options.pop("align_corners")
        weight = F.interpolate(basis, recompute_scale_factor=recompute_scale_factor, **given, **options)
        weight = weight.flatten(1).abs()
        weight[weight < 1e-6] = 0
        x = (x.movedim(2 + axis, -1) @ weight).movedim(-1, 2 + axis)
    return x


def _glu(x: Tensor, dim: int = -1) -> Tensor:
    return _mixed(*x.chunk(2, dim))


def _mean_of(x: Tensor, dim: Any = None, keepdim: bool = False, *_: Any, **__: Any) -> Tensor:
    return x.mean() if dim is None else x.mean(dim, keepdim)


def _embedding(x: Tensor, weight: Tensor, *_: Any, **__: Any) -> Tensor:
    return x[..., None].expand(*x.shape, weight.shape[1])


# fmt: off
_ACTIVATIONS = (
    "relu", "relu_", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "hardsigmoid",
    "hardtanh", "relu6", "sigmoid", "tanh", "softplus", "softsign", "logsigmoid", "hardshrink", "softshrink",
    "tanhshrink", "threshold", "prelu", "rrelu", "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout",
    "feature_alpha_dropout",
)
_POINTWISE = (
    "relu", "relu_", "sigmoid", "sigmoid_", "tanh", "tanh_", "exp", "log", "sqrt", "rsqrt", "abs", "neg", "sin", "cos",
    "square", "reciprocal", "clamp", "clamp_", "log1p", "expm1", "erf", "pow", "round", "sign", "dropout", "selu",
    "celu", "prelu", "rrelu",
)
# fmt: on
_PAIRS = {"mul": "multiply", "div": "true_divide", "sub": "subtract", "add": "add", "maximum": "maximum"}

POSITIVE: dict[Any, Callable] = {
    **{getattr(torch, name): _same for name in _POINTWISE if hasattr(torch, name)},
    **{getattr(Tensor, name): _same for name in _POINTWISE if hasattr(Tensor, name)},
    **{getattr(F, name): _same for name in _ACTIVATIONS},
    **{getattr(Tensor, name): _same for name in ("__neg__", "__pow__", "__abs__")},
    **{getattr(Tensor, name): _same for name in ("to", "float", "double", "half", "type_as")},
    **{getattr(place, name): _combined for name in _PAIRS for place in (torch, Tensor) if hasattr(place, name)},
    **{getattr(Tensor, f"__{name}__"): _combined for name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv")},
    **{getattr(Tensor, f"{name}_"): _combined_in_place for name in ("add", "sub", "mul", "div")},
    **{getattr(Tensor, f"__i{name}__"): _combined_in_place for name in ("add", "sub", "mul", "truediv")},
    **{f: _weighted(f) for f in (F.conv1d, F.conv2d, F.conv3d, F.linear)},
    **{f: _weighted(f) for f in (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)},
    F.batch_norm: _same,
    torch.batch_norm: _same,
    F.group_norm: _group_norm,
    F.instance_norm: _instance_norm,
    F.layer_norm: _layer_norm,
    F.softmax: _softmax,
    F.log_softmax: _softmax,
    torch.softmax: _softmax,
    Tensor.softmax: _softmax,
    torch.matmul: _matmul,
    torch.bmm: _matmul,
    Tensor.matmul: _matmul,
    Tensor.__matmul__: _matmul,
    F.scaled_dot_product_attention: _attention,
    F.interpolate: _interpolate,
    F.upsample: _interpolate,
    F.glu: _glu,
    F.embedding: _embedding,
    **{getattr(place, name): _mean_of for name in ("amax", "amin", "std", "var") for place in (torch, Tensor)},
    F.max_pool1d: _pooled(F.avg_pool1d, 1),
    F.max_pool2d: _pooled(F.avg_pool2d, 2),
    F.max_pool3d: _pooled(F.avg_pool3d, 3),
    F.adaptive_max_pool1d: _adaptive(F.adaptive_avg_pool1d),
    F.adaptive_max_pool2d: _adaptive(F.adaptive_avg_pool2d),
    F.adaptive_max_pool3d: _adaptive(F.adaptive_avg_pool3d),
}
"""Functions that would hide a connection, each with what stands in for it; all others are run as they are."""
