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


def skip_sum(
    x: Tensor, blocks: nn.ModuleList, skip: nn.Conv1d, targets: int, condition: Tensor | None = None
) -> Tensor:
    """Run the blocks and sum their skips.

    ``x [history + targets, b, residual]`` is the input layer's output, time first; ``condition [t, b, c]`` is what the
    blocks are told, of the same times or from earlier on. Returns the skip layer's output for the last ``targets``
    steps, ``[targets · b, skip]``.
    """
    dtype = working_dtype(x)
    weights: list[Tensor] = []
    for block in blocks:
        dilated = block.dilated.weight.transpose(1, 2).flatten(1)  # [gate, k · c], tap by tap
        if block.condition is not None:  # told like one tap more
            dilated = torch.cat([dilated, block.condition.weight[..., 0]], dim=1)
        weights += [dilated, block.dilated.bias]
        if block.residual is not None:
            weights += [block.residual.weight, block.residual.bias]
    shapes = [(block.dilated.kernel_size[0], block.dilated.dilation[0]) for block in blocks]
    told = x.new_empty(0) if condition is None else condition.to(dtype)
    cast = [weight.to(dtype) for weight in (skip.weight, skip.bias, *weights)]
    return _GatedStack.apply(x.to(dtype), told, shapes, targets, *cast)


class _GatedStack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, told, shapes, targets, skip_weight, skip_bias, *weights):
        batch = x.shape[1]
        half = weights[0].shape[0] // 2
        gated_all = x.new_empty(targets * batch, len(shapes) * half)
        saved = []
        for at, (kernel_size, dilation) in enumerate(shapes):
            dilated, bias = weights[4 * at], weights[4 * at + 1]
            taps = _windows(x, kernel_size, dilation)
            seen = [*taps, *_told(told, taps)]
            rows = torch.cat(seen, dim=-1) if len(seen) > 1 else seen[0]
            filter, gate = _folded(dilated)
            t = affine(rows, filter, bias[:half], tanh=True)
            u = affine(rows, gate, bias[half:] / 2, tanh=True)
            doubled = torch.addcmul(t, t, u)  # t·(1 + u) = 2·tanh(filter)·σ(gate)
            gated_all[:, at * half : (at + 1) * half] = doubled[-targets * batch :]
            saved += [x, t, u]
            if at < len(shapes) - 1:
                residual, residual_bias = weights[4 * at + 2 : 4 * at + 4]
                y = affine(doubled, residual[..., 0] / 2, residual_bias)
                x = y.add_(taps[-1]).view(-1, batch, y.shape[1])
        ctx.save_for_backward(gated_all, told, skip_weight, *weights, *saved)
        ctx.shapes = shapes
        return affine(gated_all, skip_weight[..., 0] / 2, skip_bias)

    @staticmethod
    def backward(ctx, dskip):
        shapes = ctx.shapes
        gated_all, told, skip_weight, *kept = ctx.saved_tensors
        weights, saved = kept[: -3 * len(shapes)], kept[-3 * len(shapes) :]
        dskip = dskip.contiguous()
        dskip_weight, dskip_bias = affine_gradients(dskip, gated_all)
        dgated_all = affine(dskip, skip_weight[..., 0].t() / 2)
        half, scored = saved[1].shape[1], dskip.shape[0]

        gradients: list[Tensor] = []
        dtold = torch.zeros_like(told)
        dx = None  # of the rows that the next block reads, [rows, residual]
        for at in reversed(range(len(shapes))):
            x, t, u = saved[3 * at : 3 * at + 3]
            kernel_size, dilation = shapes[at]
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

            taps = _windows(x, kernel_size, dilation)
            folded = torch.cat(_folded(dilated))
            *by_tap, by_told = folded.split(
                [x.shape[2]] * kernel_size + [folded.shape[1] - kernel_size * x.shape[2]], 1
            )
            found = [affine_gradients(dz, part) for part in (*taps, *_told(told, taps))]
            ddilated = torch.cat([weight for weight, _ in found], dim=1)
            dbias = found[0][1]
            ddilated[half:] /= 2
            dbias[half:] /= 2
            gradients[:0] = [ddilated, dbias]
            if told.numel():
                dtold.flatten(0, 1)[-len(dz) :] += affine(dz, by_told.t())

            dtaps = [affine(dz, part.t()) for part in by_tap]
            if dx is not None:
                dtaps[-1] += dx
            dx = _overlapped(dtaps, dilation * x.shape[1])
        return dx.view(saved[0].shape), dtold, None, None, dskip_weight[..., None] / 2, dskip_bias, *gradients


def _told(told: Tensor, taps: Sequence[Tensor]) -> list[Tensor]:
    """The rows of the condition that go with the outputs of these taps; none without a condition."""
    return [told.flatten(0, 1)[-len(taps[0]) :]] if told.numel() else []


def _windows(x: Tensor, kernel_size: int, dilation: int) -> Sequence[Tensor]:
    """The rows that each tap of a convolution reads, oldest first: views ``[rows, c]`` of ``x [t, b, c]``."""
    length = x.shape[0] - (kernel_size - 1) * dilation
    return [x[tap * dilation : tap * dilation + length].view(-1, x.shape[2]) for tap in range(kernel_size)]


def _folded(dilated: Tensor) -> tuple[Tensor, Tensor]:
    """Filter and halved gate, each ``[gate/2, c]``, of a weight ``[gate, c]``."""
    filter, gate = dilated.chunk(2)
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
