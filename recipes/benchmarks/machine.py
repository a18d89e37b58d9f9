"""A figure means nothing without its machine: what the machine is, what it can do right now, how it was timed.

Contenders take turns in one process, round after round, so that whatever else the machine does meets them all
alike; and the ceiling is measured in the same run, with the same threads.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shared.cli import Parser, positive
from shared.dense import affine
from shared.files import write_file

BUSY = 0.5  # load average above which figures are not to be trusted
FLOP_A_CALL = 2e9  # of a ceiling's product, repeated until a clock can tell it from its own ticking


@dataclass(frozen=True)
class Machine:
    """Where and with what the figures were measured; take it before anything else makes the machine busy."""

    cpu: str
    cores: int
    instructions: str
    """The widest that torch found, and whether bfloat16 is among them."""
    threads: tuple[int, ...]
    """Torch's, of which each row of a table names its own."""
    date: str
    python: str
    torch: str
    numpy: str
    load: float | None
    """Mean number of busy processes over the minute before the start; None where the system does not say."""

    @classmethod
    def here(cls, threads: Sequence[int]) -> Machine:
        """This machine, now."""
        return cls(
            cpu=_cpu(),
            cores=os.cpu_count() or 1,
            instructions=_instructions(),
            threads=tuple(threads),
            date=datetime.now().astimezone().isoformat(" ", "minutes"),
            python=platform.python_version(),
            torch=torch.__version__,
            numpy=np.__version__,
            load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        )

    def markdown(self) -> str:
        """One line."""
        load = "" if self.load is None else f" · load {self.load:.2f} at the start"
        if self.load is not None and self.load > BUSY:
            load += " — **the machine was not idle: do not trust these figures**"
        threads = " and ".join(map(str, self.threads))
        return (
            f"{self.cpu}, {self.cores} cores, {self.instructions} · {threads} torch thread(s) · {self.date} · "
            f"Python {self.python}, torch {self.torch}, numpy {self.numpy}{load}"
        )


@dataclass(frozen=True)
class Timing:
    """Of one contender over all rounds."""

    seconds: float
    """Of the median call."""
    spread: float
    """(slowest − fastest) / median: what lies closer together than this is a tie."""

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Timing:
        """Median and spread.

        >>> Timing.of([4.0, 2.0, 3.0])
        Timing(seconds=3.0, spread=0.6666666666666666)
        """
        median = statistics.median(seconds)
        return cls(median, (max(seconds) - min(seconds)) / median)


def alternating(candidates: dict[str, Callable[[], Any]], rounds: int, again: int = 0) -> dict[str, list[float]]:
    """Seconds of each call of each candidate, all called in turn ``rounds`` times.

    One round more is run first and thrown away: it pays for caches, allocations and compilers. ``again`` calls go
    untimed before each timed one, so that a candidate is measured in its own stride, not in its predecessor's caches.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, call in candidates.items():
            for _ in range(again):
                call()
            began = time.perf_counter()
            call()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return seconds


@dataclass(frozen=True)
class Ceiling:
    """The fastest product that was found, and all that were tried: in GFLOP/s, or GB/s of ``reading``."""

    gflops: float
    by: str
    each: dict[str, float]

    def or_better(self, other: Ceiling) -> Ceiling:
        """The best of both measurements, product by product."""
        return _highest({name: max(rate, other.each[name]) for name, rate in self.each.items()})


def ceiling(dtype: torch.dtype, threads: int, *, rounds: int = 5, square: int = 2048, rows: int = 8192) -> Ceiling:
    """Measure what this machine's matrix products reach now; a multiply-add counts as two.

    Two libraries, since torch's own product may leave half of a processor idle: ``torch.mm`` on a large square and
    on a tall matrix, and oneDNN (through ``shared.dense.affine``) on the shapes of the base preset's layers. The
    fastest round counts: a ceiling is what was possible, not what was usual.
    """

    def product(n: int, inner: int, outer: int, onednn: bool) -> Callable[[], None]:
        x, weight = torch.randn(n, inner, dtype=dtype), torch.randn(outer, inner, dtype=dtype)
        transposed = weight.t().contiguous()
        times = repeats(n, inner, outer)

        def call() -> None:
            for _ in range(times):
                affine(x, weight) if onednn else torch.mm(x, transposed)

        return call

    def repeats(n: int, inner: int, outer: int) -> int:
        return max(1, round(FLOP_A_CALL / (2 * n * inner * outer)))

    plain = {"square": (square, square, square), "tall": (rows, 128, 128)}
    layers = {
        "filter or gate": (rows, 128, 64),
        "residual": (rows, 64, 64),
        "all skips": (rows, 1920, 256),
        "head": (rows, 256, 256),
    }
    shapes = {f"torch.mm, {name} {_times(shape)}": (*shape, False) for name, shape in plain.items()}
    shapes |= {f"shared.dense.affine, {name} {_times(shape)}": (*shape, True) for name, shape in layers.items()}
    with torch.inference_mode(), using_threads(threads):
        seconds = alternating({name: product(*shape) for name, shape in shapes.items()}, rounds)
    flop = {name: 2 * n * i * o * repeats(n, i, o) for name, (n, i, o, _) in shapes.items()}
    return _highest({name: flop[name] / min(seconds[name]) / 1e9 for name in shapes})


def reading(threads: int, *, numbers: int = 1_240_000, rounds: int = 20) -> Ceiling:
    """How fast a matrix of so many float32 numbers is read while it is multiplied by one vector, in GB/s.

    The default is as large as the weights of the base preset, so it comes from the same cache. The fastest of a few
    shapes, by torch; numpy is not asked, since its threads are not counted here.
    """

    def product(rows: int) -> Callable[[], None]:
        matrix, x = torch.randn(rows, numbers // rows), torch.randn(numbers // rows)

        def call() -> None:
            for _ in range(20):
                torch.mv(matrix, x)

        return call

    kinds = {f"torch.mv, {rows} rows": rows for rows in (128, 256, 1024)}
    with torch.inference_mode(), using_threads(threads):
        seconds = alternating({name: product(rows) for name, rows in kinds.items()}, rounds)
    read = {name: 20 * 4 * (numbers // rows * rows) for name, rows in kinds.items()}
    return _highest({name: read[name] / min(seconds[name]) / 1e9 for name in kinds})


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Torch with ``count`` threads, and as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def common_flags(parser: Parser, *, threads: Sequence[int], rounds: int) -> None:
    """Flags that every benchmark has."""
    parser.add_argument("--threads", type=positive, nargs="+", default=list(threads), metavar="N")
    parser.add_argument("--rounds", type=positive, metavar="N", help=f"counted calls of each (default: {rounds})")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs: the figures mean nothing")
    parser.add_argument("--json", action="store_true", help="JSON on stdout instead of the table")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="write the table there too")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def table(cells: Sequence[dict[str, str]]) -> str:
    """Markdown from rows of ``{column: cell}``, all with the same columns; the first column is text, others numbers.

    >>> print(table([{"engine": "cached", "samples/s": "512"}]))
    | engine | samples/s |
    |---|---:|
    | cached | 512 |
    """
    columns = list(cells[0])
    lines = [columns, *([row[column] for column in columns] for row in cells)]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([text[0], "|---|" + "---:|" * (len(columns) - 1), *text[1:]])


def publish(
    title: str,
    machine: Machine,
    rows: Sequence[Any],
    cells: Callable[[Any], dict[str, str]],
    notes: Sequence[str],
    *,
    as_json: bool,
    out: Path | None,
) -> None:
    """Print what was measured and, if ``out`` is given, write the table there."""
    parts = [f"## {title}", machine.markdown(), table([cells(row) for row in rows])]
    text = "\n\n".join([*parts, "\n".join(f"- {note}" for note in notes)]) + "\n"
    if as_json:
        print(json.dumps({"machine": asdict(machine), "rows": [asdict(row) for row in rows], "notes": notes}, indent=2))
    else:
        print(text, end="")
    if out is not None:
        write_file(out, text)


def _highest(each: dict[str, float]) -> Ceiling:
    by = max(each, key=each.__getitem__)
    return Ceiling(each[by], by, each)


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _instructions() -> str:
    widest = torch.backends.cpu.get_cpu_capability()
    return f"{widest} with bfloat16" if torch.cpu._is_avx512_bf16_supported() else widest


def _cpu() -> str:
    """The processor's name; on Linux with family and model, for virtual machines call every one of them "EPYC"."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return platform.processor() or platform.machine()
    known = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    if "model name" not in known:
        return platform.machine()
    return f"{known['model name']} (family {known.get('cpu family', '?')}, model {known.get('model', '?')})"
