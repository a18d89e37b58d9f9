"""Files that would like to run code when they are opened as checkpoints, and some that would like to fill memory."""

from __future__ import annotations

import argparse
import functools
import importlib
import io
import marshal
import os
import pickle
import socket
import subprocess
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

PTH = "w.pth"
MODULE = "this_is_hostile"


class Calls:
    """Unpickled, it calls ``function``; what it calls here does no harm."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.reduced


class Network(nn.Module):
    """A whole model: unpickling one imports and calls what the file names."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)


def write(folder: Path) -> list[Path]:
    """Each file, in a folder of its own."""
    return [_put(folder / name, file, content) for name, (file, content) in _contents().items()]


def _contents() -> dict[str, tuple[str, bytes]]:
    weights = {"a": torch.zeros(2)}
    code = marshal.dumps(compile("1 + 1", "hostile", "eval"))
    calls = {
        "a shell": Calls(os.system, "true"),
        "an expression": Calls(eval, "1 + 1"),
        "a program": Calls(exec, "x = 1"),
        "a process": Calls(subprocess.Popen, ["true"]),
        "a socket": Calls(socket.socket),
        "a file to write": Calls(open, os.devnull, "w"),
        "an import": Calls(importlib.import_module, MODULE),
        "an unsafe load": Calls(pickle.loads, pickle.dumps(Calls(eval, "1"))),
        "compiled code": Calls(exec, Calls(marshal.loads, code)),
        "a partial call": Calls(functools.partial(eval, "1")),
        "a state": Calls(argparse.Namespace, state={"x": Calls(eval, "1")}),
    }
    found = {name: (PTH, _saved({"model": call})) for name, call in calls.items()}
    shell = calls["a shell"]
    found |= {
        "in arguments": (PTH, _saved({"model": weights, "args": argparse.Namespace(lr=shell)})),
        "in an ordered dict": (PTH, _saved(OrderedDict(a=shell))),
        "as a key": (PTH, _saved({"model": weights, ("x", shell): 1})),
        "a whole model": (PTH, _saved(Network())),
        "torchscript": (PTH, _scripted()),
        "the old format": (PTH, _saved({"model": shell}, zipped=False)),
        "a bare pickle": (PTH, pickle.dumps(shell)),
        "a bare pickle of protocol 0": (PTH, pickle.dumps(shell, protocol=0)),
        "a tar archive": (PTH, _tar({"pickle": pickle.dumps(shell), "storages": b"", "tensors": b""})),
        "an entry twice": (PTH, rezipped(_saved(weights), extra=pickle.dumps(shell))),
        "a bomb": (PTH, rezipped(_saved({"a": torch.zeros(2**20)}), zipfile.ZIP_DEFLATED)),
        "a view of a terabyte": (PTH, _saved({"a": torch.zeros(1).expand(2**38)})),
        "an array of objects": (PTH, _saved({"a": np.array([shell], dtype=object)})),
        "model.safetensors": ("model.safetensors", pickle.dumps(shell)),
        "model.safetensors of torch": ("model.safetensors", _saved({"a": shell})),
        "resume.safetensors": ("resume.safetensors", pickle.dumps(shell)),
        "config.json": ("config.json", pickle.dumps(shell, protocol=0)),
        "features.npy": ("features.npy", _npy(shell)),
    }
    return found


def _put(folder: Path, file: str, content: bytes) -> Path:
    folder.mkdir(parents=True)
    (folder / file).write_bytes(content)
    return folder / file


def _saved(content: Any, *, zipped: bool = True) -> bytes:
    out = io.BytesIO()
    torch.save(content, out, _use_new_zipfile_serialization=zipped)
    return out.getvalue()


def _scripted() -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), out)
    return out.getvalue()


def _tar(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def rezipped(content: bytes, kind: int = zipfile.ZIP_STORED, extra: bytes = b"") -> bytes:
    """A file of torch.save, packed anew; ``extra`` goes in as a second ``data.pkl``."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", kind) as new, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a name is there twice is the point
        for entry in old.namelist():
            new.writestr(entry, old.read(entry))
        if extra:
            new.writestr(next(name for name in old.namelist() if name.endswith("data.pkl")), extra)
    return out.getvalue()


def _npy(content: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([content], dtype=object), allow_pickle=True)
    return out.getvalue()
