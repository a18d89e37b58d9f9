"""One small training loop for every experiment; all randomness comes from the seed."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor], Tensor]
LEAST_STEPS, LEAST_TESTS = 5, 16
_LAST_OF_THREE = {4: torch.channels_last, 5: torch.channels_last_3d}


def fit(
    network: nn.Module,
    draw: Callable[[torch.Generator], tuple[Tensor, Tensor]],
    *,
    steps: float,
    seed: int,
    learning_rate: float = 0.015,
    loss: Loss = F.cross_entropy,
) -> nn.Module:
    """Train in place on fresh batches, ``draw(generator)`` giving inputs and targets; back in evaluation mode.

    Adam under a one-cycle schedule (Smith and Topin 2017), whose high rate in the middle makes a few hundred steps
    enough. Pictures and volumes are computed with channels last, which is faster on a CPU.
    """
    steps = max(LEAST_STEPS, round(steps))
    generator = torch.Generator().manual_seed(seed)
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps)
    for _ in range(steps):
        inputs, targets = draw(generator)
        error = loss(network(channels_last(inputs)), targets)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def channels_last(inputs: Tensor) -> Tensor:
    """Pictures and volumes with channels innermost in memory; anything else as it is."""
    layout = _LAST_OF_THREE.get(inputs.ndim)
    return inputs if layout is None else inputs.contiguous(memory_format=layout)


def held_back(seed: int) -> torch.Generator:
    """Random numbers for the test data of a seed, which no training draws."""
    return torch.Generator().manual_seed(10**6 + seed)


def tests(count: int, effort: float) -> int:
    """How many test pictures a share of the effort takes."""
    return max(LEAST_TESTS, round(count * effort))
