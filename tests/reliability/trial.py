"""One trial in a process of its own: a fork, so that fifty of them need no fifty imports of torch."""

from __future__ import annotations

import json
import os
import selectors
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    ``answer`` is what its function returned, ``fault`` the traceback if it raised, ``killed`` whether it was killed
    before it was done; ``signal`` the number of the one that ended it, else 0.
    """

    answer: Any = None
    fault: str = ""
    killed: bool = False
    signal: int = 0
    seconds: float = 0.0


def trial(function: Callable[[], Any], *, kill_after: float | None = None, patience: float = 60.0) -> Outcome:
    """Call ``function`` in a child, in a process group of its own; what it returns must be something JSON can hold.

    After ``kill_after`` seconds the group gets SIGKILL: that is the trial's point. After ``patience`` it does too, and
    the trial hung: TimeoutError.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that exist: none of ours holds a lock
        child = os.fork()
    if not child:
        _be_the_child(function, reading, writing)
    os.close(writing)
    began, text = time.monotonic(), bytearray()
    end = began + (patience if kill_after is None else kill_after)
    with selectors.DefaultSelector() as waiting, open(reading, "rb", buffering=0) as pipe:  # noqa: PTH123 (a number)
        waiting.register(pipe, selectors.EVENT_READ)
        late = False
        while not late:
            if waiting.select(max(0.0, end - time.monotonic())):
                piece = pipe.read(2**16)
                if not piece:
                    break
                text += piece
            late = time.monotonic() >= end
    if late:
        _kill(child)
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - began
    if late and kill_after is None:
        raise TimeoutError(f"no answer after {patience:g} s")
    if not text or late:
        ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        return Outcome(killed=late, signal=ended_by, seconds=seconds)
    return Outcome(**json.loads(text), seconds=seconds)


def _be_the_child(function: Callable[[], Any], reading: int, writing: int) -> None:
    try:
        os.close(reading)
        os.setpgid(0, 0)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        try:
            said = {"answer": function()}
        except BaseException:
            said = {"fault": traceback.format_exc()}
        with open(writing, "wb") as pipe:
            pipe.write(json.dumps(said).encode())
    finally:
        os._exit(0)  # nothing of the parent's, such as pytest, ends twice


def _kill(child: int) -> None:
    try:
        os.killpg(child, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # it has not yet become the head of its group, or is gone
        os.kill(child, signal.SIGKILL)
