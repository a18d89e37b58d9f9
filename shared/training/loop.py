"""One optimisation step, written once. ``optimise`` is a generator: the caller keeps the for-loop.

It holds what must be identical everywhere and is easy to get wrong: autocast, accumulation, clipping, the check
that everything is finite, the learning rate. When to evaluate, save and stop is the caller's business.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from shared.errors import InputError
from shared.training.processes import ALONE, Team

PATIENCE = 10  # steps in a row that may be unusable before training gives up


@dataclass(frozen=True)
class Progress:
    """What one step did. A skipped step changed nothing: its loss or gradient was not finite."""

    step: int  # steps done, this one included
    loss: float  # mean over the step
    gradient_norm: float  # before clipping
    learning_rate: float
    skipped: bool = False


def optimise(
    model: nn.Module,
    loss: Callable[[Any], Tensor],
    batches: Iterable[Any],
    optimizer: torch.optim.Optimizer,
    *,
    learning_rate: Callable[[int], float],
    clip: float = 1.0,
    accumulate: int = 1,
    precision: torch.dtype = torch.float32,
    start: int = 0,
    weight: Callable[[Any], float] | None = None,
    team: Team = ALONE,
) -> Iterator[Progress]:
    """Take a step for each ``accumulate`` batches and say what happened.

    ``loss(batch)`` returns a scalar; its mean over the step's batches is lowered. With ``weight`` it returns a sum over
    what ``weight(batch)`` counts, and the mean is the one over all that the step counts: how examples are dealt out to
    batches, and to the processes of a ``team``, then makes no difference. A batch that counts 0 is not looked at.
    ``learning_rate(step)`` is asked before each step, counting from ``start``. With ``precision=torch.bfloat16`` the
    loss runs under autocast; weights stay float32. Raises InputError when ten steps in a row are not finite.
    """
    parameters = list(model.parameters())
    device = parameters[0].device.type
    source = iter(batches)
    step, unusable = start, 0
    optimizer.zero_grad(set_to_none=True)
    while group := list(islice(source, accumulate)):
        rate = learning_rate(step)
        for slot in optimizer.param_groups:
            slot["lr"] = rate
        counts = [weight(batch) if weight else 1.0 for batch in group]
        (count,) = team.total(sum(counts))
        total = 0.0
        before = [buffer.clone() for buffer in model.buffers()]  # batch-norm statistics take a bad batch to heart
        for batch, counted in zip(group, counts, strict=True):
            if not counted:
                continue
            with torch.autocast(device, dtype=precision, enabled=precision != torch.float32):
                value = loss(batch) / count
            value.backward()
            total += float(value.detach())
        total = team.add_up(parameters, total)
        norm = float(nn.utils.clip_grad_norm_(parameters, clip))
        finite = math.isfinite(total) and math.isfinite(norm)
        if finite:
            optimizer.step()
        else:
            for buffer, old in zip(model.buffers(), before, strict=True):
                buffer.copy_(old)
        optimizer.zero_grad(set_to_none=True)
        step, unusable = step + 1, 0 if finite else unusable + 1
        yield Progress(step, total, norm, rate, skipped=not finite)
        if unusable == PATIENCE:
            diverged = f"training diverged: {PATIENCE} steps in a row had no finite loss or gradient, the last at step"
            team.agree(InputError(f"{diverged} {step}; start again with a lower learning rate"))


def warmup_cosine(peak: float, step: int, warmup: int, fraction: float, floor: float = 0.0) -> float:
    """Learning rate: linear over ``warmup`` steps, then half a cosine over the ``fraction`` done of the budget.

    >>> [round(warmup_cosine(1.0, step, 10, step / 100), 2) for step in (0, 9, 50, 100)]
    [0.1, 0.98, 0.5, 0.0]
    """
    cosine = (1 + math.cos(math.pi * min(1.0, fraction))) / 2
    return peak * min(1.0, (step + 1) / max(1, warmup)) * (floor + (1 - floor) * cosine)


def warmup_poly(peak: float, step: int, warmup: int, fraction: float, power: float = 0.9) -> float:
    """Learning rate: linear over ``warmup`` steps, times a power of what is left: DeepLab's "poly" (Chen et al. 2017).

    >>> [round(warmup_poly(1.0, step, 10, step / 100), 2) for step in (0, 9, 50, 100)]
    [0.1, 0.92, 0.54, 0.0]
    """
    return peak * min(1.0, (step + 1) / max(1, warmup)) * (1 - min(1.0, fraction)) ** power
