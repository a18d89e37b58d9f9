"""RELIABILITY.md, from what was found."""

from __future__ import annotations

import datetime
import platform
from importlib.metadata import version

import torch

LIBRARIES = ("torch", "torchaudio", "numpy", "soundfile", "pillow", "safetensors", "numba")

HEAD = """# What you may rely on

Each promise has a proof, and a **control**: a naive way of doing the same, which has to fail where ours holds; so the
proof is known to bite. One command runs all of them and writes this page and `tests/reliability/reliability.json`:

```
uv run python -m tests.reliability
```

A quick tier of the same proofs is among the default tests. Each proof is a file in `tests/reliability/`.
"""

TAIL = """
## Not promised

- The same bits on another type of processor, with another torch or another number of threads: sums are then added in
  another order. A run remembers its number of threads and goes on with it.
- The same bits on a GPU: its kernels are not all deterministic, and none of this was run on one.
- Network file systems, and disks that say that data are safe before they are. A power cut is tried on a model of a
  disk that forgets everything not synced, in every order that it may; no plug was pulled.
- Windows and macOS: written for, not tried.
- One writer for each folder on Windows, and on file systems that have no locks.
- That what a C library says by itself, such as libmpg123 of a damaged MP3, names the file; and a library that crashes
  takes the command with it (of 10,000 spoilt files none did).
- Folders of format 1, written before there were seals: they are read, and sealed when their run goes on.
- Time: a step, a save or a block that takes long delays the answer to Ctrl-C by as much.
- A `config.json` with plain weights of another program beside it, which have no seal, is taken as it is.
- A user who may write to the folders that you use, and faults of torch, Pillow and libsndfile inside what passes the
  gates: what a gate lets through is decoded by them.
"""


def surroundings(tier: str, seed: int) -> dict:
    """What the figures were found on."""
    versions = {name: version(name) for name in LIBRARIES}
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "tier": tier,
        "seed": seed,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": torch.backends.cpu.get_cpu_capability(),
        "versions": versions,
    }


def markdown(found: dict) -> str:
    """The page."""
    rows = [
        "| | promise | found | a naive way | seconds |",
        "|---:|---|---|---|---:|",
    ]
    for row in found["promises"]:
        if row["kept"] is None:
            rows.append(f"| {row['number']} | {row['guarantee']} | not tried: {row['absent']} | {row['naive']} | |")
            continue
        broken = "" if row["kept"] else "**BROKEN:** "
        naive = f"{row['naive']}: {row['control']['said']}"
        rows.append(
            f"| {row['number']} | {row['guarantee']} | {broken}{row['proof']['said']} | {naive} | {row['seconds']} |"
        )
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    where = (
        f"{found['date']}, {found['tier']} tier, seed {found['seed']}: {found['system']} ({found['processor']}), "
        f"Python {found['python']}, {versions}."
    )
    return "\n".join([HEAD, *rows, "", where, TAIL])
