"""What is made of frames while sound grows, a run of them at a time and each stream's alone.

Runs begin at the same frames whatever is asked for: the last bits of a matrix product depend on its shape, and a stream
must depend neither on its company nor on where it was gone on with.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

RUN = 32  # frames


class Runs:
    """Rows ``[RUN, …]`` that ``make(first frame)`` gives, kept until time has gone past them.

    >>> runs = Runs(lambda first: torch.arange(first, first + RUN))
    >>> runs.rows(30, 4).tolist()
    [30, 31, 32, 33]
    """

    def __init__(self, make: Callable[[int], Tensor]):
        self.make = make
        self.kept: dict[int, Tensor] = {}

    def rows(self, first: int, count: int) -> Tensor:
        """Those of so many frames from the one numbered ``first`` on, which never goes back."""
        begin, last = first // RUN, (first + count - 1) // RUN
        self.kept = {number: run for number, run in self.kept.items() if number >= begin}
        for number in range(begin, last + 1):
            if number not in self.kept:
                self.kept[number] = self.make(number * RUN)
        return torch.cat(list(self.kept.values()))[first - begin * RUN :][:count]
