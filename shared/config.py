"""Configuration is frozen dataclasses; JSON, TOML files and ``--set a.b=c`` all speak about the same fields.

A field typed as a union of dataclasses carries ``"type"``, the class name. An unknown field is an error that
names the nearest known one; an absent field takes its default.
"""

import dataclasses
import difflib
import json
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import InputError

T = TypeVar("T")


def to_json(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON values, with ``type`` on members of unions.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Pen:
    ...     tagged = True
    ...     width: int = 1
    >>> to_json(Pen())
    {'type': 'Pen', 'width': 1}
    """
    values: dict[str, Any] = {"type": type(config).__name__} if getattr(config, "tagged", False) else {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        values[field.name] = to_json(value) if dataclasses.is_dataclass(value) else value
    return values


def from_json(kind: type[T], values: Any, where: str = "") -> T:
    """Build ``kind`` from plain values; raise InputError that names the field when they do not fit."""
    name_here = where.rstrip(".") or kind.__name__
    if not isinstance(values, dict):
        raise InputError(f"{name_here}: a table of settings is needed, not {values!r}")
    hints = typing.get_type_hints(kind)
    known = {field.name for field in dataclasses.fields(kind)}
    built: dict[str, Any] = {}
    for name, value in values.items():
        if name == "type" and getattr(kind, "tagged", False):
            if value != kind.__name__:
                raise InputError(f"{where}type is {value!r}; it can be {kind.__name__}")
            continue
        if name not in known:
            raise InputError(f"no setting {where}{name}; {_suggestion(name, known)}")
        built[name] = _convert(hints[name], value, f"{where}{name}")
    try:
        return kind(**built)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name_here}: {error}") from None


def with_settings(config: T, settings: typing.Iterable[str]) -> T:
    """The config with ``a.b=c`` assignments applied; values are read as JSON, or else as text.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Pen:
    ...     width: int = 1
    ...     dashes: tuple[int, ...] = ()
    >>> with_settings(Pen(), ["width=3", "dashes=[1,2]"])
    Pen(width=3, dashes=(1, 2))
    """
    values = to_json(config)
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: a setting is written name=value, such as train.seed=3")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        *tables, name = path.strip().split(".")
        table = values
        for at, key in enumerate(tables):
            if key in table and table[key] is None:
                table[key] = {}
            if not isinstance(table.get(key), dict):
                raise InputError(f"no settings under {'.'.join(tables[: at + 1])}; {_suggestion(key, table)}")
            table = table[key]
        if name == "type" and table.get("type") != value:
            table.clear()  # another member of the union: its fields take their defaults
        table[name] = value
    return from_json(type(config), values)


def with_file(config: T, path: Path) -> T:
    """The config with the tables of a TOML file laid over it."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; --config takes a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path}: not a TOML file ({error}); see README for an example") from None
    return from_json(type(config), _laid_over(to_json(config), table))


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    if "type" in above and above["type"] != below.get("type"):
        return dict(above)
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _laid_over(below[key], value) if both else value
    return merged


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        members = typing.get_args(hint)
        kinds = {kind.__name__: kind for kind in members if dataclasses.is_dataclass(kind)}
        if kinds and isinstance(value, dict):
            name = value.get("type")
            if name not in kinds:
                raise InputError(f"{where}.type is {name!r}; it can be {', '.join(kinds)}")
            return from_json(kinds[name], value, f"{where}.")
        if value is None and type(None) in members:
            return None
        plain = [kind for kind in members if kind is not type(None)]
        return _convert(plain[0], value, where)
    if dataclasses.is_dataclass(hint):
        return from_json(hint, value, f"{where}.")
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{where} takes a list, not {value!r}")
        return tuple(_convert(typing.get_args(hint)[0], item, where) for item in value)
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            raise InputError(f"{where} is {value!r}; it can be {', '.join(map(str, typing.get_args(hint)))}")
        return value
    if hint is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)  # --set data.root=2024
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise InputError(f"{where} is a number beyond all floats") from None
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{where} takes {hint.__name__}, not {value!r}")
    return value


def _suggestion(name: str, known: typing.Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
