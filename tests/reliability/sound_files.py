"""Sound files that are cut short: readers that judge them, a process that dies at its n-th operation, a power cut."""

from __future__ import annotations

import io
import itertools
import os
import random
import signal
import struct
import wave
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from shared import files
from tests.reliability.promise import Tier
from tests.reliability.trial import trial
from wavenet.wav import HEADER, WavWriter, reopened, to_bytes

OPERATIONS = ("create", "write", "sync", "replace", "remove", "sync_folder")  # of shared.files.Disk


def by_the_letter(path: Path) -> bytes:
    """The samples by a reader that checks every size of the header against the file; ValueError for any that is off."""
    content = path.read_bytes()
    if len(content) < HEADER:
        raise ValueError(f"{len(content)} bytes are no header")
    riff, size, kind, form, length = struct.unpack("<4sI4s4sI", content[:20])
    code, channels, rate, pace, align, bits, data, count = struct.unpack("<HHIIHH4sI", content[20:HEADER])
    if (riff, kind, form, length, code, data) != (b"RIFF", b"WAVE", b"fmt ", 16, 1, b"data"):
        raise ValueError("not a plain RIFF file")
    if (channels, rate, pace, align, bits) != (1, 16_000, 32_000, 2, 16):
        raise ValueError("its format is not 16-bit mono at 16 kHz")
    if size != HEADER - 8 + count or count % align or HEADER + count > len(content):
        raise ValueError(f"a header of {count} bytes of sound in {size}, before a file of {len(content)}")
    return content[HEADER : HEADER + count]


def by_wave(path: Path) -> bytes:
    """By Python's own reader."""
    with wave.open(str(path)) as file:
        return file.readframes(file.getnframes())


def by_libsndfile(path: Path) -> bytes:
    """By the reader that most programs have."""
    return soundfile.read(path, dtype="int16")[0].astype("<i2").tobytes()


def fault(path: Path, whole: bytes, acknowledged: int) -> str:
    """What is wrong with a file; '' if all readers find in it the beginning of the whole sound's bytes.

    That has to hold the ``acknowledged`` samples at least.
    """
    for reader in (by_the_letter, by_wave, by_libsndfile):
        try:
            found = reader(path)
        except Exception as error:
            return f"{reader.__name__}: {error}"
        if not whole.startswith(found):
            return f"{reader.__name__}: other samples"
        if len(found) < 2 * acknowledged:
            return f"{reader.__name__}: {len(found) // 2} samples, {acknowledged} were acknowledged"
    return ""


class Doom:
    """Ends the process before its ``last`` operation on sounds and notes; what is committed is written to a log."""

    def __init__(self, last: int | None, log: Path):
        self.last, self.log, self.count = last, log, 0

    def come(self, *_: Any) -> None:
        """One more operation is about to be done."""
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Have all operations come here; for a child that ends."""
        commit = WavWriter.commit

        def commit_and_say(file: WavWriter) -> None:
            commit(file)
            with self.log.open("a") as log:
                log.write(f"{file.path.name} {file.frames}\n")

        WavWriter.commit = commit_and_say
        told(self.come)


def told(come: Callable[..., None]) -> None:
    """Have ``come(operation, file or path, …)`` called before everything that is done to sounds and to the disk.

    Data are written in two operations, their halves; a header lies in one sector of the disk, which is never half
    written.
    """
    opened = Path.open

    class Told(io.FileIO):
        def write(self, data: memoryview) -> int:
            middle = len(data) // 2 if len(data) > HEADER else len(data)
            for part in (data[:middle], data[middle:]):
                if part:
                    come("write", self, self.tell(), bytes(part))
                    super().write(part)
            return len(data)

        def truncate(self, size: int | None = None) -> int:
            come("truncate", self, size)
            return super().truncate(size)

    def open_told(path: Path, mode: str = "r", *more: Any, **named: Any) -> Any:
        if path.suffix != ".wav" or mode not in ("xb", "r+b"):
            return opened(path, mode, *more, **named)
        come("open", path)
        return Told(path, mode)

    def operation(name: str) -> Callable:
        def done(self: files.Disk, *arguments: Any) -> Any:
            come(name, *arguments)
            return getattr(files.Disk, name)(self, *arguments)

        return done

    Path.open = open_told
    files.disk = type("ToldDisk", (files.Disk,), {name: operation(name) for name in OPERATIONS})()


def power_cuts(tier: Tier) -> Iterator[str]:
    """Cut the power after each operation of our writer, and after it goes on with the file; what is wrong each time.

    What was written since the disk was last told to keep it may be there or not, each part by itself.
    """
    folder = tier.folder("power cuts")
    sound = np.random.default_rng(tier.seed).uniform(-1, 1, 1003)

    def child() -> list[list[Any]]:
        journal: list[list[Any]] = []
        told(lambda name, _, *what: journal.append([name, *(w.hex() if isinstance(w, bytes) else w for w in what)]))
        path = folder / "a.wav"
        WavWriter(path).close()  # as our commands begin a clip
        for ends in ((0, 300, 301, 600), (640, 900, 1003)):
            with reopened(path)[0] as file:
                for at, end in enumerate(ends):
                    file.write(sound[file.frames : end])
                    if at % 2:
                        file.commit()
                        journal.append(["safe", file.frames])
            journal.append(["safe", file.frames])
        return journal

    outcome = trial(child)
    if outcome.fault:
        raise RuntimeError(outcome.fault)
    dice, whole, path = random.Random(tier.seed), to_bytes(sound)[HEADER:], folder / "cut.wav"
    for content, safe in states(outcome.answer, tier.count(4, 64), dice):
        path.write_bytes(content)
        yield fault(path, whole, safe) if content else ""


def states(journal: Sequence[Sequence[Any]], most: int, dice: random.Random) -> Iterator[tuple[bytes, int]]:
    """What the disk may hold after a power cut, some states after each operation, and how many samples it must hold."""
    kept, loose, safe = b"", [], 0
    for name, *what in journal:
        if name == "sync":
            kept, loose = applied(kept, loose), []
        elif name in ("write", "truncate"):
            loose.append((name, *what))
        elif name == "safe":  # as the writer says
            (safe,) = what
        choices = list(itertools.product((False, True), repeat=len(loose))) if len(loose) < 10 else []
        if len(choices) > most or not choices:
            choices = [[dice.random() < 0.5 for _ in loose] for _ in range(most)]
        for chosen in choices:
            yield applied(kept, list(itertools.compress(loose, chosen))), safe


def applied(content: bytes, operations: Sequence[Sequence[Any]]) -> bytes:
    """The content of a file after more was done to it; what was never written reads as zeros."""
    made = bytearray(content)
    for name, at, *data in operations:
        if name == "truncate":
            del made[at:]
        else:
            piece = bytes.fromhex(data[0])
            made.extend(bytes(max(0, at + len(piece) - len(made))))
            made[at : at + len(piece)] = piece
    return bytes(made)
