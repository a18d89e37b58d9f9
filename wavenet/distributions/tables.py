"""Input layers: a table with a row a level of the companded axis."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class InterpolatedEmbedding(nn.Embedding):
    """A table read between its rows: level 3.25 is three quarters of row 3 and one quarter of row 4.

    At whole numbers it is the table of codes, so what can be learnt for codes can be learnt here; between them
    16-bit samples keep their detail.

    >>> table = InterpolatedEmbedding.from_pretrained(torch.tensor([[0.0], [8.0]]))
    >>> table(torch.tensor([0.0, 0.25, 1.0]))[:, 0].tolist()
    [0.0, 2.0, 8.0]
    """

    def forward(self, level: Tensor) -> Tensor:
        """Levels from 0 to rows − 1, ``[*] -> [*, width]``."""
        below = level.floor().clamp(max=self.num_embeddings - 2)
        row = below.to(torch.int64)
        return torch.lerp(super().forward(row), super().forward(row + 1), (level - below)[..., None])


def smooth(table: nn.Embedding) -> nn.Embedding:
    """The table with rows that are a random curve of the level, smooth instead of independent noise.

    Neighbouring levels sound alike, and the network need not learn that first.
    """
    rows, width = table.weight.shape
    level = torch.linspace(-1, 1, rows)[:, None]
    octaves = 2.0 ** torch.linspace(-1, 5, width)
    with torch.no_grad():
        table.weight.copy_(torch.sin(math.pi * (level * octaves + 2 * torch.rand(width))))
    return table
