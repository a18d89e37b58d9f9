"""WaveNet's block: a gated dilated convolution with a residual way out (van den Oord et al. 2016, section 2.3)."""

import torch
from torch import Tensor, nn

from shared.layers import CausalConv1d


class GatedBlock(nn.Module):
    """``z = tanh(filter ∗ x) · σ(gate ∗ x)``; ``x + residual · z`` goes on to the next block, ``z`` to the skips.

    ``dilated`` holds filter and gate, in that order, as one convolution. The last block of a network has no
    ``residual``: nothing would use it, and a parameter without gradient is a fault. With a condition of
    ``condition_channels``, ``condition`` adds its projection to filter and gate (section 2.5).
    """

    def __init__(
        self,
        channels: int,
        gate_channels: int,
        kernel_size: int,
        dilation: int,
        last: bool = False,
        condition_channels: int = 0,
    ):
        super().__init__()
        self.dilated = CausalConv1d(channels, gate_channels, kernel_size, dilation)
        self.residual = None if last else nn.Conv1d(gate_channels // 2, channels, 1)
        self.condition = nn.Conv1d(condition_channels, gate_channels, 1, bias=False) if condition_channels else None
        self.field = self.dilated.field

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor | None, Tensor]:
        """``[b, c, history + t] -> [b, c, t]`` (None from the last block) and the gated ``[b, gate/2, t]``.

        ``condition [b, condition_channels, t or more]`` ends where ``x`` does.
        """
        z = self.dilated.valid(x)
        if self.condition is not None:
            z = z + self.condition(condition[..., condition.shape[2] - z.shape[2] :])
        filter, gate = z.chunk(2, dim=1)
        gated = torch.tanh(filter) * torch.sigmoid(gate)
        if self.residual is None:
            return None, gated
        return x[..., self.field.history :] + self.residual(gated), gated
