"""What the reports of all training runs have in common: how settings, previews and commands are read off a folder."""

from __future__ import annotations

import dataclasses
import json
import shlex
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import InputError
from shared.report import Page

PAGE = "report.html"  # in the run's folder
T = TypeVar("T")


def destination(arguments: Namespace) -> Path:
    """Where ``report`` writes. The page in the run's own folder is renewed without asking, others with ``--force``."""
    out = Path(arguments.out) if arguments.out else Path(arguments.model) / PAGE
    if arguments.out and out.exists() and not arguments.force:
        raise InputError(f"{out}: exists already; choose another name or pass --force")
    return out


def flat(config: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of a dataclass and of those inside it, with dots in their names.

    >>> from shared.training.settings import Settings
    >>> dict(flat(Settings(batch=7), "train."))["train.batch"]
    7
    """
    if before and getattr(config, "tagged", False):
        yield f"{before}type", type(config).__name__
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from flat(value, f"{before}{field.name}.")
        else:
            yield f"{before}{field.name}", value


def differing(config: Any, usual: Any) -> list[list[object]]:
    """Rows of name, value and usual value, where the two differ.

    >>> from shared.training.settings import Settings
    >>> differing(Settings(batch=7), Settings())
    [['batch', 7, 4]]
    """
    known = dict(flat(usual))
    return [[name, value, known.get(name)] for name, value in flat(config) if value != known.get(name)]


def settings(page: Page, of: str, rows: Sequence[Sequence[object]]) -> None:
    """Add the table of those settings that ``differing`` has found."""
    if rows:
        page.table(["setting", "here", "usually"], rows, caption=f"Those of {of} that differ from the usual")
    else:
        page.text(f"All settings of {of} are the usual ones.")


def assignment(name: str, value: object) -> list[str]:
    """The words of a command line that set one setting.

    >>> assignment("train.batch", 7), assignment("data.split", "prefix")
    (['--set', 'train.batch=7'], ['--set', 'data.split=prefix'])
    """
    return ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]


def length(state: dict[str, Any] | None) -> list[str]:
    """The words of a command line that say how long a run was to last; none where that is not known."""
    budget = state["budget"] if state else {"steps": None, "seconds": None}
    words = ["--steps", str(budget["steps"])] if budget["steps"] else []
    return words + (["--minutes", f"{budget['seconds'] / 60:g}"] if budget["seconds"] else [])


def again(page: Page, words: Sequence[str] | None, state: dict[str, Any] | None) -> None:
    """Add the section with the command that makes the run again, if one does."""
    if not words:
        return
    page.section("Train it again")
    page.code(shlex.join(words))
    if state and state["budget"]["seconds"]:
        page.text("Its length is given in minutes, so it will not end at the same step twice.")


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most so many of them, evenly over their order, the first and the last among them.

    >>> spread("abcdefg", 3)
    ['a', 'd', 'g']
    """
    count = min(most, len(items))
    return [items[round(at * (len(items) - 1) / max(1, count - 1))] for at in range(count)]


def by_step(paths: Iterable[Path]) -> list[Path]:
    """Files named ``step-NUMBER``, in the order of their numbers."""
    return sorted(paths, key=step_of)


def step_of(path: Path) -> int:
    """The number in the name ``step-NUMBER``; 0 where there is none.

    >>> step_of(Path("previews/step-000250.png"))
    250
    """
    digits = path.stem.removeprefix("step-")
    return int(digits) if digits.isdecimal() else 0


def png_of(path: Path) -> bytes | None:
    """The content of a picture; None where there is none, or it is not whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if content.startswith(b"\x89PNG\r\n\x1a\n") and content.endswith(b"IEND\xaeB`\x82") else None
