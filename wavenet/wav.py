"""WAV files that any reader can play at every instant, so that neither a kill nor a power cut makes a broken one.

Mono, 16-bit PCM, 16 kHz behind a header of 44 bytes. Samples are appended, then the disk is told to keep them, and
only then does the header count them: what it counts is there, whatever stops the writer, and what lies behind that
is not yet part of the sound.
"""

from __future__ import annotations

import struct
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np

from shared import files
from shared.errors import refusal
from shared.lock import lock
from wavenet.audio import RATE

HEADER = 44  # bytes
MOST_FRAMES = (0xFFFFFFFF - HEADER) // 2  # 37 hours; the header counts bytes in 32 bits
OPEN = 0xFFFFFFFF  # "up to the end of the stream", where the header cannot be written again


class WavWriter:
    """Appends samples to a WAV, which at every instant is whole and holds what was last committed.

    ``target`` is a path or an open stream, such as ``sys.stdout.buffer``. A stream cannot go back, so its
    header says "up to the end"; it stays open, for its owner. ``frames`` is the number of samples written,
    ``clipped`` how many of them lay outside [-1, 1]. Raises InputError for a file that exists, unless
    ``overwrite``, and for a place that cannot be written to.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, WavWriter(Path(folder) / "a.wav") as wav:
    ...     wav.write(np.array([0.0, 0.5, -2.0]))
    ...     wav.frames, wav.clipped
    (3, 1)
    """

    def __init__(self, target: Path | str | BinaryIO, *, overwrite: bool = False) -> None:
        self.frames = self.clipped = self._counted = 0
        self._rewinds = isinstance(target, Path | str)
        self.path = Path(target) if self._rewinds else Path("standard output")
        try:  # unbuffered: nothing lingers in a process that is killed
            if self._rewinds:
                self.path.touch(exist_ok=overwrite)
                self._file = self.path.open("r+b", buffering=0)  # not emptied yet: somebody may be writing it
                _claim(self._file, self.path)
                self._put(_header(0))
                self._file.truncate(HEADER)
            else:
                self._file = target
                self._put(_header(None))
        except FileExistsError:
            raise refusal(self.path, "exists already", "choose another name or pass --force") from None
        except OSError as error:
            if self._rewinds and hasattr(self, "_file"):
                self._file.close()
            raise self._failure(error) from None

    def write(self, samples: np.ndarray) -> None:
        """Append floats of shape (t,) within [-1, 1]; what lies outside is clipped, and added to ``clipped``.

        Raises InputError for samples that are NaN or infinite (then none of them is written) and for a full
        disk (what was written before is safe), BrokenPipeError when the reader of a stream has left,
        ValueError for another shape or for integers.
        """
        values, clipped = _quantised(samples, self.path, self.frames)
        if self._rewinds and self.frames + len(values) > MOST_FRAMES:
            raise refusal(self.path, "would pass 37 hours, the most that WAV can hold", "start another file")
        try:
            if self._rewinds:
                self._file.seek(HEADER + 2 * self.frames)
            self._put(values.tobytes())
        except OSError as error:
            raise self._failure(error) from None
        self.frames += len(values)
        self.clipped += clipped

    def commit(self) -> None:
        """Have the header count all that was written, once the disk has it. It takes milliseconds; errors as above."""
        if not self._rewinds or self._counted == self.frames:
            return
        try:
            files.disk.sync(self._file)  # first: after a power cut the header must not count what the disk forgot
            self._file.seek(0)
            self._put(_header(self.frames))
            files.disk.sync(self._file)
        except OSError as error:
            raise self._failure(error) from None
        self._counted = self.frames

    def close(self) -> None:
        """Commit, and close the file. A stream is left open. May be called again."""
        if not self._rewinds or self._file.closed:
            return
        with closing(self._file):
            if self._counted < self.frames:
                self.commit()
                return
            try:  # of a file that holds no sound yet, the header
                files.disk.sync(self._file)
            except OSError as error:
                raise self._failure(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:  # an unbuffered file may take a part at a time
            rest = rest[self._file.write(rest) or len(rest) :]
        self._file.flush()

    def _failure(self, error: OSError) -> Exception:
        if isinstance(error, BrokenPipeError):
            return error
        safe = f", {self._counted} samples are safe" if self._counted else ""
        reason = f"cannot be written ({error.strerror}{safe})"
        return refusal(self.path, reason, "check the folder, its permissions and the space on the disk")


def reopened(path: Path) -> tuple[WavWriter, np.ndarray]:
    """A file of ours to append to, and the samples in it, float32 ``[t]``; whatever the header does not count goes.

    Raises InputError for a file that is not there or not one of ours.
    """
    try:
        file = path.open("r+b", buffering=0)
    except OSError as error:
        raise refusal(path, f"cannot be opened ({error.strerror})", "give a WAV made by wavenet generate") from None
    _claim(file, path)
    head = file.read(HEADER)
    frames = int.from_bytes(head[40:44], "little") // 2
    data = file.read(2 * frames)
    if head != _header(frames) or len(data) < 2 * frames:
        file.close()
        raise refusal(path, "not as this toolkit writes WAV files", "give a WAV made by wavenet generate")
    try:
        file.truncate(HEADER + 2 * frames)
    except OSError as error:
        file.close()
        raise refusal(path, f"cannot be written ({error.strerror})", "check its permissions") from None
    writer = WavWriter.__new__(WavWriter)
    writer.frames, writer.clipped, writer.path = frames, 0, path
    writer._counted = frames
    writer._rewinds, writer._file = True, file
    return writer, np.frombuffer(data, "<i2").astype(np.float32) / 32_768


def to_bytes(samples: np.ndarray) -> bytes:
    """A whole WAV file in memory, from floats of shape (t,) within [-1, 1]; the same checks as ``write``.

    >>> to_bytes(np.zeros(2))[:4], len(to_bytes(np.zeros(2)))
    (b'RIFF', 48)
    """
    values, _ = _quantised(samples, Path("sound in memory"), 0)
    return _header(len(values)) + values.tobytes()


def as_written(samples: np.ndarray) -> np.ndarray:
    """Floats of shape (t,) as a reader of the file gets them back, float32.

    >>> as_written(np.array([0.5, 2.0])).tolist()
    [0.5, 0.999969482421875]
    """
    values, _ = _quantised(samples, Path("sound in memory"), 0)
    return values.astype(np.float32) / 32_768


def check_free(path: Path) -> None:
    """InputError where somebody is writing the file."""
    try:
        file = path.open("r+b", buffering=0)
    except OSError:  # it is not there, or whoever writes it will say why not
        return
    with file:
        _claim(file, path)


def _claim(file: BinaryIO, path: Path) -> None:
    if not lock(file.fileno()):
        file.close()
        raise refusal(path, "another process is writing to it", "wait for it to end, or choose another name")


def _header(frames: int | None) -> bytes:
    """The 44 bytes before the samples; None for a length that is not known."""
    riff, data = (OPEN, OPEN) if frames is None else (HEADER - 8 + 2 * frames, 2 * frames)
    form = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", riff, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    return form + struct.pack("<4sI", b"data", data)


def _quantised(samples: np.ndarray, path: Path, at: int) -> tuple[np.ndarray, int]:
    """Little-endian int16, and the number clipped. 1.0 is 32,768 steps: 16-bit sound comes back unchanged."""
    samples = np.asarray(samples)
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise ValueError(f"expected floats of shape (t,), got {samples.dtype} of shape {samples.shape}")
    if not np.isfinite(samples).all():
        first = at + int(np.argmin(np.isfinite(samples)))
        raise refusal(path, f"sample {first} is NaN or infinite", "use a model that has not diverged")
    steps = np.clip(np.rint(samples.astype(np.float64) * 32_768), -32_768, 32_767)
    return steps.astype("<i2"), int(np.count_nonzero(np.abs(samples) > 1))
