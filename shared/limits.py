"""What is taken from outside at most: one table, every row of which ``--limit NAME=VALUE`` raises.

Rows stand here for what both crafts open, in ``wavenet.limits`` and ``segmentation.limits`` for the rest. Gates hold to
them.

>>> STEPS = limit("stairs", 100, "steps", "of a staircase")
>>> STEPS.hold(Path("a.txt"), 144, "has {} steps", "take the lift")
Traceback (most recent call last):
shared.errors.InputError: a.txt: has 144 steps, over the limit of 100; take the lift, or pass --limit stairs=144
>>> set_limit("stairs=150")
>>> STEPS.hold(Path("a.txt"), 144, "has {} steps", "take the lift")
>>> del TABLE["stairs"]
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from pathlib import Path

from shared.errors import InputError, refusal

TABLE: dict[str, Limit] = {}
"""All limits of the modules that are loaded, by name."""


@dataclass
class Limit:
    """``most`` of something, in ``unit``; ``of`` says of what."""

    name: str
    most: float
    unit: str
    of: str

    def hold(self, path: Path, found: float, reason: str, advice: str) -> None:
        """InputError for more than is allowed; ``{}`` in the reason is where the number goes."""
        if not found <= self.most:
            text = f"{reason.format(_number(found))}, over the limit of {_number(self.most)}"
            raise refusal(path, text, f"{advice}, or pass --limit {self.name}={math.ceil(found)}")


def limit(name: str, most: float, unit: str, of: str) -> Limit:
    """A row of the table, for the gate that holds to it."""
    if name in TABLE:
        raise ValueError(f"two limits are called {name}")
    TABLE[name] = Limit(name, most, unit, of)
    return TABLE[name]


def set_limit(text: str) -> None:
    """Take ``NAME=VALUE``, for this process and those it forks."""
    name, _, value = text.partition("=")
    if name not in TABLE:
        near = difflib.get_close_matches(name, TABLE, n=1)
        raise InputError(f"--limit {text}: there is none of that name{f'; did you mean {near[0]}?' if near else ''}")
    try:
        most = float(value)
    except ValueError:
        most = math.nan
    if not 0 < most < math.inf:
        raise InputError(f"--limit {text}: write {name}=NUMBER, above 0")
    TABLE[name].most = most


def table() -> str:
    """All of them, a line each."""
    rows = [(row.name, _number(row.most), row.unit, row.of) for row in TABLE.values()]
    widths = [max((len(row[at]) for row in rows), default=0) for at in (0, 1, 2)]
    return "\n".join(f"{a:{widths[0]}}  {b:>{widths[1]}} {c:{widths[2]}}  {d}" for a, b, c, d in rows)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,g}"


LIST_BYTES = limit("list-bytes", 2**26, "bytes", "of a list or table of files or classes")
LIST_LINES = limit("list-lines", 1_000_000, "lines", "of a list or table of files or classes")
SERVED_BYTES = limit("serve-bytes", 2**25, "bytes", "of a file that is dropped on a served page")
