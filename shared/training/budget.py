"""How long to train: a number of steps, a number of minutes, or whichever ends first; and the parts of it."""

import time
from dataclasses import dataclass, field


@dataclass
class Budget:
    """``fraction(step)`` says how much of it is used; seconds spent before a resume count.

    >>> Budget(steps=200).fraction(50)
    0.25
    """

    steps: int | None = None
    seconds: float | None = None
    spent: float = 0.0
    """Seconds trained before this process."""
    _began: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Start the clock; what came before (reading data, say) does not count."""
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds trained so far, in this process and before."""
        return self.spent + self.elapsed_here

    @property
    def elapsed_here(self) -> float:
        """Seconds trained in this process."""
        return time.monotonic() - self._began

    def fraction(self, step: int) -> float:
        """0 at the start, 1 or more when the budget is used up."""
        shares = [step / self.steps] if self.steps else []
        shares += [self.elapsed / self.seconds] if self.seconds else []
        return max(shares, default=1.0)

    def seconds_left(self, step: int, first_step: int) -> float | None:
        """An estimate from the pace of this process; None before it has one."""
        left = []
        if self.seconds:
            left.append(self.seconds - self.elapsed)
        if self.steps and step > first_step:
            left.append((self.steps - step) * self.elapsed_here / (step - first_step))
        return max(0.0, min(left)) if left else None


class Milestones:
    """``count`` equal parts of a budget; ``passed`` is true once at the end of each, but not of the last."""

    def __init__(self, count: int, fraction: float):
        self.count, self.reached = count, int(fraction * count)

    def passed(self, fraction: float) -> bool:
        """Has another part come to its end?"""
        if self.reached + 1 < self.count and fraction * self.count >= self.reached + 1:
            self.reached = int(fraction * self.count)
            return True
        return False
