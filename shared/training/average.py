"""An exponential moving average of a model's weights, swapped in by ``with``."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """``average ← decay·average + (1 − decay)·weights`` after each step.

    Early on the decay is ``(1 + n)/(10 + n)`` after ``n`` updates, so the first random weights are soon
    forgotten, in short runs as in long ones.

    >>> model = nn.Linear(1, 1)
    >>> average = WeightAverage(model)
    >>> with average.swapped_in(model):
    ...     pass  # evaluate or save here: the model holds the averaged weights
    """

    def __init__(self, model: nn.Module, decay: float = 0.999):
        self.decay, self.updates = decay, 0
        self.weights: dict[str, Tensor] = {name: p.detach().clone() for name, p in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the model's present weights; integer buffers are copied."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averages, currents = [], []
        for name, current in model.state_dict().items():
            if current.is_floating_point():
                averages.append(self.weights[name])
                currents.append(current)
            else:
                self.weights[name].copy_(current)
        torch._foreach_lerp_(averages, currents, 1 - decay)

    @contextmanager
    def swapped_in(self, model: nn.Module) -> Iterator[None]:
        """Within, the model holds the averaged weights; after, its own again, bit for bit."""
        own = {name: p.detach().clone() for name, p in model.state_dict().items()}
        model.load_state_dict(self.weights)
        try:
            yield
        finally:
            model.load_state_dict(own)
