"""How much memory a piece of work takes at its peak, beyond what was there before."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

STATUS, MEGABYTE = Path("/proc/self/status"), 2**20


def peak_of(work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work returns, and megabytes. To be called in a process of its own: a peak is a process's, for ever."""
    before = _bytes("VmRSS") if STATUS.exists() else peak()
    answer = work()
    return answer, (peak() - before) / MEGABYTE


def peak() -> int:
    """Bytes that this process held at most so far; what ``getrusage`` says begins, on Linux, with its parent's."""
    if STATUS.exists():
        return _bytes("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def hold_address_space(beyond: int) -> None:
    """From now on this process gets so many bytes more, whatever it asks for."""
    if STATUS.exists():
        most = _bytes("VmSize") + beyond
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _bytes(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return 1024 * int(line.split()[1])
