"""Sound written to WAV files as it is drawn: whole at every instant, and safe from a power cut every few seconds."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from shared.training.interruption import Interruption
from shared.training.progress import ProgressLine, clock
from wavenet import audio
from wavenet.wav import WavWriter

COMMIT = 2.0  # seconds after which what was drawn becomes part of the files
SHARE = 50  # of the time, at most one part in so many goes to committing


class Written(NamedTuple):
    """What ``write_blocks`` did: samples of each clip, speed of each clip, whether it was stopped, what was clipped."""

    samples: int
    real_time_factor: float
    interrupted: bool
    clipped: int = 0


def write_blocks(
    blocks: Iterator[Tensor],
    files: Sequence[WavWriter],
    samples: int,
    quiet: bool,
    lengths: Sequence[int] | None = None,
) -> Written:
    """Append blocks ``[b, n]`` to ``b`` files as they come, with a progress bar; Ctrl-C ends it between blocks.

    With ``lengths``, each file takes no more samples than its own. Every ``COMMIT`` seconds all are committed.
    """
    begun, done, factor = time.perf_counter(), 0, 0.0
    due = begun + COMMIT
    with Interruption() as interruption, ProgressLine("generating", quiet) as line:
        for block in blocks:
            for at, (file, wave) in enumerate(zip(files, block.numpy(), strict=True)):
                file.write(wave if lengths is None else wave[: max(0, lengths[at] - done)])
            done += block.shape[1]
            if time.perf_counter() >= due:
                due = _committed(files)
            factor = done / (time.perf_counter() - begun) / audio.RATE
            left = clock((samples - done) / audio.RATE / factor)
            line.update(done / samples, f"{done / audio.RATE:.1f} s · {factor:.3f} × real time · {left} left")
            if interruption.requested:
                break
    return Written(done, factor, interruption.requested and done < samples, sum(file.clipped for file in files))


def _committed(files: Sequence[WavWriter]) -> float:
    """Commit all; when to do so again."""
    began = time.perf_counter()
    for file in files:
        file.commit()
    ended = time.perf_counter()
    return ended + max(COMMIT, SHARE * (ended - began))


def how_to_go_on(command: str, paths: Sequence[Path]) -> str:
    """The command that finishes clips that were stopped."""
    return f"go on: wavenet {command} --resume {' '.join(shlex.quote(str(path)) for path in paths)}"
