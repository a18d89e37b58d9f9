"""Files that would take all memory or all day, if their headers were believed, or if they were unpacked."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from PIL import Image

from segmentation.data.pairs import in_list
from segmentation.images import read_image, read_mask
from shared.errors import InputError
from tests.reliability.memory import hold_address_space, peak_of
from tests.reliability.promise import Figure, Promise, Tier
from tests.reliability.trial import trial
from wavenet import audio
from wavenet.conditioning import Frames
from wavenet.data.conditions import read_frames
from wavenet.data.excerpts import Excerpts
from wavenet.data.tracks import RecordedTrack

SECONDS, MEGABYTES = 2.0, 300.0  # within which each is answered, the megabytes beyond an idle process
ALLOWED = 4 * 2**30  # bytes of address space
RATE = 16_000
HEADER = 44  # bytes of a WAV
MARK = b"\x89PNG\r\n\x1a\n"


def proof(tier: Tier) -> Figure:
    """Each hostile file through the gate, and a recording of ten hours beside a short one."""
    folder = tier.folder("sizes")
    answers = {name: _answer(make, read, InputError, folder) for name, (make, read, _) in _chosen(tier)}
    held = sum(
        refused and seconds < SECONDS and megabytes < MEGABYTES for refused, seconds, megabytes in answers.values()
    )
    slowest, most = (max(answer[at] for answer in answers.values()) for at in (1, 2))
    hours = tier.count(1, 10)
    seconds, long, short = _trained(folder, hours)
    said = f"{held} of {len(answers)} refused in at most {slowest:.2f} s and {most:.0f} MB; {hours} hours checked in "
    said += f"{seconds:.1f} s and trained on within {long:.0f} MB, a minute within {short:.0f} MB"
    return Figure(held + (long < short + 32), len(answers) + 1, said, {"answers": answers})


def control(tier: Tier) -> Figure:
    """The same files, opened as libraries' manuals say."""
    folder = tier.folder("sizes")
    answers = {name: _answer(make, naive, Exception, folder) for name, (make, _, naive) in _chosen(tier)}
    held = sum(
        refused and seconds < SECONDS and megabytes < MEGABYTES for refused, seconds, megabytes in answers.values()
    )
    most = max(answer[2] for answer in answers.values())
    return Figure(
        held, len(answers), f"{held} of {len(answers)} refused within these bounds, up to {most:,.0f} MB taken"
    )


def _answer(
    make: Callable[[Path], None], read: Callable[[Path], Any], refusal: type[Exception], folder: Path
) -> tuple[bool, float, float]:
    """Whether it is refused, in which time, and how many megabytes that takes."""
    path = folder / "hostile"
    make(path)

    def look() -> tuple[bool, float]:
        hold_address_space(ALLOWED)
        began = time.perf_counter()
        try:
            read(path)
        except Exception as error:
            return isinstance(error, refusal) and not isinstance(error, MemoryError), time.perf_counter() - began
        return False, time.perf_counter() - began

    outcome = trial(lambda: peak_of(look))
    path.unlink()
    if outcome.answer is None:
        return False, outcome.seconds, 0.0
    (refused, seconds), megabytes = outcome.answer
    return refused, seconds, megabytes


def _trained(folder: Path, hours: int) -> tuple[float, float, float]:
    """Seconds that looking through the long recording takes; megabytes to train on it, and on a short one."""
    found = []
    for seconds in (3600 * hours, 60.0):
        path = folder / "long.wav"
        _wav(path, bytes_of_sound=int(2 * RATE * seconds))

        def look(path: Path = path) -> float:
            began = time.perf_counter()
            recording = audio.check(path)
            taken = time.perf_counter() - began
            excerpts = Excerpts([RecordedTrack(recording)], 1_000, 8_000, 4, seed=0)
            for step in range(5):
                excerpts.batch(step)
            return taken

        found.append(trial(lambda look=look: peak_of(look)).answer)
        path.unlink()
    (taken, long), (_, short) = found
    return taken, long, short


def _wav(path: Path, bytes_of_sound: int, rate: int = RATE, bits: int = 16) -> None:
    """Silence that takes no room on the disk."""
    size = bits // 8
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, size * rate, size, bits)
    head = b"RIFF" + struct.pack("<I", min(2**32 - 2, 36 + bytes_of_sound)) + b"WAVEfmt " + form
    with path.open("wb") as file:
        file.write(head + b"data" + struct.pack("<I", min(2**32 - 38, bytes_of_sound)))
        file.truncate(HEADER + bytes_of_sound)


def _rf64(path: Path, bytes_of_sound: int, rate: int) -> None:
    """As ``_wav``, beyond 4 GB, 8 bits a sample."""
    sizes = struct.pack("<IQQQI", 28, bytes_of_sound + 72, bytes_of_sound, bytes_of_sound, 0)
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8)
    with path.open("wb") as file:
        file.write(b"RF64\xff\xff\xff\xffWAVEds64" + sizes + b"fmt " + form + b"data\xff\xff\xff\xff")
        file.truncate(80 + bytes_of_sound)


def _flac(path: Path, frames: int) -> None:
    """A header that claims so many frames, before a handful."""
    out = io.BytesIO()
    soundfile.write(out, np.zeros(4_096), RATE, format="FLAC")
    content = bytearray(out.getvalue())
    content[21] = content[21] & 0xF0 | frames >> 32 & 0xF
    content[22:26] = (frames & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(content)


def _png(path: Path, width: int, height: int, *chunks: tuple[bytes, bytes], bits: int = 8, colours: int = 2) -> None:
    """A picture of zeros, whole, or of one row where that is asked for by a chunk of its own."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)), *chunks]
    if not any(name == b"IDAT" for name, _ in chunks):
        row, packer = bytes(1 + -(-width * bits * (3 if colours == 2 else 1) // 8)), zlib.compressobj(9)
        parts.append((b"IDAT", b"".join([packer.compress(row) for _ in range(height)] + [packer.flush()])))
    with path.open("wb") as file:
        file.write(MARK)
        for name, content in [*parts, (b"IEND", b"")]:
            file.write(struct.pack(">I", len(content)) + name + content)
            file.write(struct.pack(">I", zlib.crc32(name + content)))


def _text_bomb(name: bytes, megabytes: int) -> tuple[bytes, bytes]:
    """A packed text of a PNG that is zeros once it is unpacked; several of them add up."""
    packed = zlib.compress(bytes(megabytes * 2**20), 9)
    return name, (b"a\0\0" + packed if name != b"iTXt" else b"a\0\1\0\0\0" + packed)


def _chosen(tier: Tier) -> list[tuple[str, tuple]]:
    return list(CASES.items())[:: tier.count(3, 1)]


def _sparse_png(path: Path, bytes_of_text: int) -> None:
    """One chunk of text that claims nearly all of a large file."""
    _png(path, 8, 8, (b"IDAT", b""))
    content = path.read_bytes()[: len(MARK) + 25]
    with path.open("wb") as file:
        file.write(content + struct.pack(">I", bytes_of_text) + b"tEXt")
        file.truncate(len(content) + bytes_of_text)


def _tiff(path: Path, side: int) -> None:
    """Pixels that are claimed and not there."""
    tags = [
        (256, 4, side),
        (257, 4, side),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (278, 4, side),
        (279, 4, 8),
    ]
    path.write_bytes(
        struct.pack("<2sHIH", b"II", 42, 8, len(tags))
        + b"".join(struct.pack("<HHII", *tag[:2], 1, tag[2]) for tag in tags)
    )


def _npy(path: Path, count: int) -> None:
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': (80, {count}), }}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + bytes(64))


def _lines(path: Path, count: int) -> None:
    path.write_bytes(b"a b\n" * count)


def _sparse(path: Path, count: int) -> None:
    with path.open("wb") as file:
        file.truncate(count)


def _plain_picture(path: Path) -> None:
    Image.open(path).convert("RGB")


def _plain_list(path: Path) -> None:
    [line.split() for line in path.read_text().splitlines()]


def _frames(path: Path) -> None:
    read_frames(path, Frames(channels=80))


def _plain_frames(path: Path) -> None:
    torch.from_numpy(np.fromfile(path, np.float32))


SOUND, PICTURE = (audio.read, soundfile.read), (read_image, _plain_picture)
CASES: dict[str, tuple[Callable[[Path], None], Callable[[Path], Any], Callable[[Path], Any]]] = {
    "a WAV of 4 GB that lasts 49 days": (lambda path: _wav(path, 2**32 - 1_000, rate=1_000, bits=8), *SOUND),
    "a WAV of 10 GB that lasts 115 days": (lambda path: _rf64(path, 10**10, rate=1_000), *SOUND),
    "a FLAC that claims 2^36 samples": (lambda path: _flac(path, 2**36 - 1), *SOUND),
    "a FLAC that claims 10^10 samples": (lambda path: _flac(path, 10**10), *SOUND),
    "a PNG of 50,000 × 50,000": (lambda path: _png(path, 50_000, 50_000, (b"IDAT", b"")), *PICTURE),
    "a PNG of 13,000 × 13,000, whole": (lambda path: _png(path, 13_000, 13_000, bits=1, colours=0), *PICTURE),
    "a PNG mask of 13,000 × 13,000": (
        lambda path: _png(path, 13_000, 13_000, bits=1, colours=0), read_mask, _plain_picture,
    ),
    "a TIFF of 60,000 × 60,000": (lambda path: _tiff(path, 60_000), *PICTURE),
    "a packed text of 100 MB in a PNG": (lambda path: _png(path, 8, 8, _text_bomb(b"zTXt", 100)), *PICTURE),
    "a packed international text of 100 MB": (lambda path: _png(path, 8, 8, _text_bomb(b"iTXt", 100)), *PICTURE),
    "a packed colour profile of 100 MB": (lambda path: _png(path, 8, 8, _text_bomb(b"iCCP", 100)), *PICTURE),
    "two hundred packed texts of 1 MB": (
        lambda path: _png(path, 8, 8, *[_text_bomb(b"zTXt", 1)] * 200), *PICTURE,
    ),
    "frames that claim 80 × 10^10 numbers": (lambda path: _npy(path, 10**10), _frames, np.load),
    "a PNG with 900 MB of text": (lambda path: _sparse_png(path, 9 * 10**8), *PICTURE),
    "a file of frames of 40 GB": (lambda path: _sparse(path, 40 * 10**9), _frames, _plain_frames),
    "a list of a million lines and more": (lambda path: _lines(path, 1_100_000), in_list, _plain_list),
    "a list of 5 GB": (lambda path: _sparse(path, 5 * 10**9), in_list, _plain_list),
}  # fmt: skip

PROMISE = Promise(
    number=14,
    guarantee="Data that would take all memory are refused before they are decoded, whatever a header claims; a "
    "recording of ten hours trains in as much memory as one of a minute. Limits can be raised: `--limit list`.",
    naive="`soundfile.read`, `Image.open(…).convert`, `numpy.load` and `read_text`",
    proof=proof,
    control=control,
)
