"""What a promise is: a guarantee, its proof, and the naive way that the same proof must catch."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tests.reliability

DATA = Path(__file__).parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Tier:
    """How thoroughly to look, and an empty folder to do it in. All that is drawn at random comes from ``seed``."""

    name: Literal["quick", "full"]
    scratch: Path
    seed: int = 0

    def count(self, quick: int, full: int) -> int:
        """How many trials."""
        return quick if self.name == "quick" else full

    def folder(self, name: str) -> Path:
        """A new folder."""
        path = self.scratch / name
        path.mkdir(parents=True)
        return path


@dataclass(frozen=True)
class Figure:
    """``held`` of ``of`` trials went as promised; ``said`` is one line with what was counted; ``facts`` go to JSON."""

    held: int
    of: int
    said: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def all_held(self) -> bool:
        """Whether each trial did; none at all prove nothing."""
        return 0 < self.held == self.of


@dataclass(frozen=True)
class Promise:
    """``guarantee`` is what users may rely on, ``naive`` what the control does instead.

    ``proof`` must hold in all of its trials; ``control``, the same trials of the naive way, must not, or else the proof
    would not notice a fault. Either may raise ``Absent`` where real files are not here.
    """

    number: int
    guarantee: str
    naive: str
    proof: Callable[[Tier], Figure]
    control: Callable[[Tier], Figure]


class Absent(Exception):
    """What a proof needs is not on this machine; the text says what."""


def promises() -> list[Promise]:
    """All of them: the ``PROMISE`` of each module of this package that has one."""
    modules = (module.name for module in pkgutil.iter_modules(tests.reliability.__path__) if module.name != "__main__")
    found = (importlib.import_module(f"tests.reliability.{name}") for name in modules)
    return sorted((m.PROMISE for m in found if hasattr(m, "PROMISE")), key=lambda promise: promise.number)


def bad_files() -> Path:
    """The folder of files that are broken on purpose, beside the project on its makers' machines."""
    folder = DATA / "bad"
    if not folder.is_dir():
        raise Absent(f"the files that are broken on purpose are not here: {folder.name}")
    return folder.resolve()  # as commands name what is in it
