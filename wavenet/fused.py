"""All gated blocks as one differentiable operation: the training path, equal to the blocks' own ``forward``.

What makes it fast (``recipes/benchmarks/training.py`` measures the whole):

- Tensors are ``[time, batch, channels]``. A window of time is then a contiguous run of rows, so a dilated
  convolution is one matrix product, and dropping the past copies nothing.
- Every block computes only what later blocks or scored outputs need: the stack narrows towards the targets.
- All skip connections are one product at the end instead of one a block.
- ``σ(g) = (1 + tanh(g/2)) / 2``, so filter and gate are both a tanh, which oneDNN computes inside the product;
  the halves fold into the weights around it.
- The backward pass is written out: no saved copies of taps, few passes over memory.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from shared.dense import affine, affine_gradients, working_dtype


def skip_sum(x: Tensor, blocks: nn.ModuleList, skip: nn.Conv1d, targets: int) -> Tensor:
    """Run the blocks and sum their skips.

    ``x [history + targets, b, residual]`` is the input layer's output, time first; returns the skip layer's
    output for the last ``targets`` steps, ``[targets · b, skip]``.
    """
    dtype = working_dtype(x)
    weights: list[Tensor] = []
    for block in blocks:
        weights += [block.dilated.weight, block.dilated.bias]
        if block.residual is not None:
            weights += [block.residual.weight, block.residual.bias]
    dilations = [block.dilated.dilation[0] for block in blocks]
    cast = [weight.to(dtype) for weight in (skip.weight, skip.bias, *weights)]
    return _GatedStack.apply(x.to(dtype), dilations, targets, *cast)


class _GatedStack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, dilations, targets, skip_weight, skip_bias, *weights):
        batch = x.shape[1]
        half = weights[0].shape[0] // 2
        gated_all = x.new_empty(targets * batch, len(dilations) * half)
        saved = []
        for at, dilation in enumerate(dilations):
            dilated, bias = weights[4 * at], weights[4 * at + 1]
            taps = _windows(x, dilated.shape[2], dilation)
            rows = torch.cat(taps, dim=-1) if len(taps) > 1 else taps[0]
            filter, gate = _folded(dilated)
            t = affine(rows, filter, bias[:half], tanh=True)
            u = affine(rows, gate, bias[half:] / 2, tanh=True)
            doubled = torch.addcmul(t, t, u)  # t·(1 + u) = 2·tanh(filter)·σ(gate)
            gated_all[:, at * half : (at + 1) * half] = doubled[-targets * batch :]
            saved += [x, t, u]
            if at < len(dilations) - 1:
                residual, residual_bias = weights[4 * at + 2 : 4 * at + 4]
                y = affine(doubled, residual[..., 0] / 2, residual_bias)
                x = y.add_(taps[-1]).view(-1, batch, y.shape[1])
        ctx.save_for_backward(gated_all, skip_weight, *weights, *saved)
        ctx.dilations = dilations
        return affine(gated_all, skip_weight[..., 0] / 2, skip_bias)

    @staticmethod
    def backward(ctx, dskip):
        dilations = ctx.dilations
        gated_all, skip_weight, *kept = ctx.saved_tensors
        weights, saved = kept[: -3 * len(dilations)], kept[-3 * len(dilations) :]
        dskip = dskip.contiguous()
        dskip_weight, dskip_bias = affine_gradients(dskip, gated_all)
        dgated_all = affine(dskip, skip_weight[..., 0].t() / 2)
        half, scored = saved[1].shape[1], dskip.shape[0]

        gradients: list[Tensor] = []
        dx = None  # of the rows that the next block reads, [rows, residual]
        for at in reversed(range(len(dilations))):
            x, t, u = saved[3 * at : 3 * at + 3]
            dilated = weights[4 * at]
            dgated = dgated_all[:, at * half : (at + 1) * half]
            if dx is None:
                dgated = dgated.contiguous()
            else:
                residual = weights[4 * at + 2][..., 0]
                dresidual, dresidual_bias = affine_gradients(dx, torch.addcmul(t, t, u))
                gradients[:0] = [dresidual[..., None] / 2, dresidual_bias]
                from_residual = affine(dx, residual.t() / 2)
                from_residual[-scored:] += dgated
                dgated = from_residual
            dt = torch.addcmul(dgated, dgated, u)
            du = dgated * t
            dz = torch.cat([torch.ops.aten.tanh_backward(dt, t), torch.ops.aten.tanh_backward(du, u)], dim=1)

            taps = _windows(x, dilated.shape[2], dilations[at])
            folded = torch.cat(_folded(dilated)).unflatten(1, (dilated.shape[2], -1))  # [gate, k, residual]
            by_tap = [affine_gradients(dz, tap) for tap in taps]
            ddilated = torch.stack([dtap for dtap, _ in by_tap], dim=-1)
            dbias = by_tap[0][1]
            ddilated[half:] /= 2
            dbias[half:] /= 2
            gradients[:0] = [ddilated, dbias]

            dtaps = [affine(dz, folded[:, k].t()) for k in range(len(taps))]
            if dx is not None:
                dtaps[-1] += dx
            dx = _overlapped(dtaps, dilations[at] * x.shape[1])
        return dx.view(saved[0].shape), None, None, dskip_weight[..., None] / 2, dskip_bias, *gradients


def _windows(x: Tensor, kernel_size: int, dilation: int) -> Sequence[Tensor]:
    """The rows that each tap of a convolution reads, oldest first: views ``[rows, c]`` of ``x [t, b, c]``."""
    length = x.shape[0] - (kernel_size - 1) * dilation
    return [x[tap * dilation : tap * dilation + length].view(-1, x.shape[2]) for tap in range(kernel_size)]


def _folded(dilated: Tensor) -> tuple[Tensor, Tensor]:
    """Filter and halved gate, each ``[gate/2, k · c]``, of a weight ``[gate, c, k]``."""
    filter, gate = dilated.transpose(1, 2).flatten(1).chunk(2)
    return filter, gate / 2


def _overlapped(pieces: Sequence[Tensor], shift: int) -> Tensor:
    """The sum of pieces, each starting ``shift`` rows after the one before: the transpose of ``_windows``."""
    length = pieces[0].shape[0]
    total = pieces[0].new_empty(length + (len(pieces) - 1) * shift, pieces[0].shape[1])
    if len(pieces) == 2 and length > shift:  # the usual kernel, without a pass of zeros
        total[:shift] = pieces[0][:shift]
        torch.add(pieces[0][shift:], pieces[1][:-shift], out=total[shift:length])
        total[length:] = pieces[1][-shift:]
        return total
    total.zero_()
    for at, piece in enumerate(pieces):
        total[at * shift : at * shift + length] += piece
    return total
