"""Hostile checkpoints, opened where any call that could do something is seen; and all sources, read for such calls."""

from __future__ import annotations

import ast
import os
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from segmentation.weights import read_published
from shared.errors import InputError
from shared.training import checkpoint
from tests.reliability import hostile_files, small_run
from tests.reliability.promise import Figure, Promise, Tier
from tests.reliability.trial import trial
from wavenet.data.conditions import mapped

ROOT = Path(__file__).parents[2]
PACKAGES = ("shared", "wavenet", "segmentation", "recipes")
WATCHED = (
    *("exec", "compile", "marshal.", "code.__new__", "function.__new__", "ctypes."),
    *("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.remove", "os.rename", "subprocess.", "socket."),
)
BANNED = {"eval", "exec", "yaml.load", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter"}
PICKLES = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle", "yaml"}
LITERALS = {"torch.load": "weights_only=True", "np.load": "allow_pickle=False", "numpy.load": "allow_pickle=False"}
CELLS = ROOT / "recipes/lesson/cells.py"  # it runs the lesson's own modules, cell by cell


def proof(tier: Tier) -> Figure:
    """Our gates."""
    refused, quiet, of = _opened(tier, _ours)
    unsafe = [line for package in PACKAGES for path in (ROOT / package).rglob("*.py") for line in unsafe_calls(path)]
    said = f"{refused} of {of} hostile files refused in one line, {of - quiet} ran anything; {len(unsafe)} unsafe calls"
    return Figure(min(refused, quiet) + (not unsafe), of + 1, said, {"unsafe": unsafe})


def control(tier: Tier) -> Figure:
    """What the internet says to try next."""
    _, quiet, of = _opened(tier, _naive)
    return Figure(quiet, of, f"{of - quiet} of {of} ran what they held")


def unsafe_calls(path: Path) -> list[str]:
    """Where a source could run what a file holds: one line each."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        match node:
            case ast.Import(names=names) if any(name.name.split(".")[0] in PICKLES for name in names):
                found.append(f"{where} imports a pickle")
            case ast.ImportFrom(module=module) if module and module.split(".")[0] in PICKLES:
                found.append(f"{where} imports a pickle")
            case ast.Call(func=function):
                name, text = ast.unparse(function), ast.unparse(node)
                banned = name in BANNED and not (path == CELLS and name == "exec")
                if banned or LITERALS.get(name, "") not in text or "allow_pickle=True" in text:
                    found.append(f"{where} {name}")
    return found


def _opened(tier: Tier, opener: Callable[[Path], None]) -> tuple[int, int, int]:
    """How many files were refused in one line, how many ran nothing, and how many there were."""
    paths = hostile_files.write(tier.folder("hostile"))
    harmless = tier.folder("harmless")
    small_run.train(harmless / "run", 2)
    torch.save({"a": torch.zeros(2)}, harmless / "w.pth")
    (harmless / "bad.pth").write_bytes(hostile_files.rezipped((harmless / "w.pth").read_bytes(), extra=b"bad"))
    outcome = trial(lambda: _watched(opener, paths, harmless))
    assert not outcome.fault, outcome.fault
    found = outcome.answer
    return sum(refused for refused, _ in found), sum(not events for _, events in found), len(paths)


def _watched(opener: Callable[[Path], None], paths: list[Path], harmless: Path) -> list[tuple[bool, list[str]]]:
    for path in (harmless / "run" / checkpoint.MODEL, harmless / "w.pth", harmless / "bad.pth"):
        try:  # whatever is imported at first is no file's doing
            opener(path)
        except Exception as error:
            str(error)
    events: list[str] = []

    def hook(event: str, arguments: tuple) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        parses = event == "compile" and arguments[1] == "<unknown>"  # numpy's header, to a tree of literals
        imports = event == "import" and arguments[0] == hostile_files.MODULE
        if writes or imports or (event.startswith(WATCHED) and not parses):
            events.append(f"{event}{arguments!r:.80}")

    sys.addaudithook(hook)
    found = []
    for path in paths:
        events.clear()
        refused = False
        try:
            opener(path)
        except InputError as error:
            text = str(error)
            refused = "\n" not in text and str(path.parent) in text and "weights_only" not in text
        except Exception as error:
            str(error)
        found.append((refused, list(events)))
    return found


def _ours(path: Path) -> None:
    match path.name:
        case checkpoint.MODEL:
            checkpoint.load_weights(path.parent, small_run.State().model)
        case checkpoint.RESUME:
            small_run.State.loaded(path.parent)
        case checkpoint.CONFIG:
            checkpoint.load_config(path.parent)
        case "features.npy":
            mapped(path)
        case _:
            read_published(path)


def _naive(path: Path) -> None:
    if path.suffix == ".npy":
        np.load(path, allow_pickle=True)
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.load(path, weights_only=False)
    except Exception:
        with path.open("rb") as file:
            pickle.load(file)


PROMISE = Promise(
    number=10,
    guarantee="A checkpoint cannot run code: neither ours, nor published weights, nor features.",
    naive="`weights_only=False`, `pickle.load` and `allow_pickle=True`",
    proof=proof,
    control=control,
)
