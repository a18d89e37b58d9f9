"""Matrix products for training, by the fastest route the machine has.

On a CPU, torch's own float32 product goes to a library that may leave more than half of the machine idle
(measured: 80 against 210 GFLOP/s a core on AMD Zen 5), while oneDNN, which torch ships as well, does not. So
products of float32 and bfloat16 matrices on the CPU go to oneDNN; everything else takes the ordinary road.

Shapes are ``[n, c]``: any number of rows, channels last.
"""

import os
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

# oneDNN keeps the kernels that it made; a deep network, whose every layer has a length of its own, needs more of them
# than its default of 1024, and would make some again at each step. It asks once, before its first product.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, tanh: bool = False) -> Tensor:
    """``x [n, c] · weight[c', c]ᵀ + bias [c']``, then tanh if asked; no gradient is recorded."""
    if _by_onednn(x):
        # A strided weight falls to oneDNN's plain-C kernel, a thousand times slower; the copy is small.
        activation = "tanh" if tanh else "none"
        return torch.ops.mkldnn._linear_pointwise(x, weight.contiguous(), bias, activation, [], "")
    y = F.linear(x, weight, bias)
    return y.tanh_() if tanh else y


def affine_gradients(dy: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of weight ``[c', c]`` and bias ``[c']`` from ``dy [n, c']`` and the input ``x [n, c]``."""
    if x.dtype == torch.float32 and _by_onednn(x):
        shape_of_weight = x.new_empty(dy.shape[1], x.shape[1]).to_mkldnn()  # only its shape is read
        gradients = torch.ops.aten.mkldnn_linear_backward_weights(
            dy.contiguous().to_mkldnn(), x.contiguous().to_mkldnn(), shape_of_weight, True
        )
        return tuple(g.to_dense() if g.is_mkldnn else g for g in gradients)
    return dy.t() @ x, dy.sum(0)


class Dense(torch.autograd.Function):
    """``affine`` with its gradient: ``Dense.apply(x [n, c], weight [c', c], bias [c']) -> [n, c']``."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        """Keep what the gradient needs."""
        ctx.save_for_backward(x, weight)
        return affine(x, weight, bias)

    @staticmethod
    def backward(ctx, dy):
        """Two more products."""
        x, weight = ctx.saved_tensors
        dy = dy.contiguous()
        return affine(dy, weight.t()), *affine_gradients(dy, x)


def working_dtype(x: Tensor) -> torch.dtype:
    """The dtype products should run in: autocast's where it is on, else the tensor's own."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def _by_onednn(x: Tensor) -> bool:
    return x.device.type == "cpu" and _onednn_serves(x.dtype)


@cache
def _onednn_serves(dtype: torch.dtype) -> bool:
    """Ask by doing: a build of torch without oneDNN, or a processor without bfloat16, says no."""
    if dtype not in (torch.float32, torch.bfloat16):
        return False
    try:
        x = torch.ones(4, 16, dtype=dtype)
        y = torch.ops.mkldnn._linear_pointwise(x, x, None, "none", [], "")
        gradients = torch.ops.aten.mkldnn_linear_backward_weights
        if dtype == torch.float32:
            gradients(x.to_mkldnn(), x.to_mkldnn(), x.new_empty(16, 16).to_mkldnn(), True)
    except (RuntimeError, AttributeError):
        return False
    return bool((y == 16).all())
