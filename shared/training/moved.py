"""A run whose data have moved: the same run, led to where they are now."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import InputError

T = TypeVar("T")
PLACES = ("path", "root")  # what the fields are called that say where data are


def moved(run: T, place: str | None) -> T:
    """``run`` with its ``data`` at ``place``, a folder or file; None is where they were.

    What lay with the data, such as a table of classes or a folder of features, is led along. Whether they are the same
    data is told by their fingerprint when they are loaded. Raises InputError for data that are not read from a place.
    """
    if place is None:
        return run
    name = next((field.name for field in fields(run.data) if field.name in PLACES), None)
    if name is None:
        raise InputError(f"{place}: the run makes its data as it goes; leave DATA out")
    old, new = Path(getattr(run.data, name)), Path(place).resolve()
    here, there = (new.parent, old.parent) if new.is_file() else (new, old)
    data = replace(_led(run.data, there, here), **{name: str(new)})
    return replace(_led(run, there, here), data=data)


def _led(config: Any, old: Path, new: Path) -> Any:
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    paths = {name: Path(text) for name, text in values.items() if isinstance(text, str)}
    inside = {name: path for name, path in paths.items() if path.is_absolute() and path.is_relative_to(old)}
    return replace(config, **{name: str(new / path.relative_to(old)) for name, path in inside.items()})
