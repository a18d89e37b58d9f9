"""What kind of sound file it is, told by its first bytes; libsndfile sees only the kinds and encodings listed here.

It would tell 25 kinds apart by itself, and decode encodings that hardly anyone uses or tests: memory bugs were found in
its readers of ADPCM and are open in its last release (CVE-2026-37555). So WAV, AIFF and AU hold plain numbers here, or
the two laws of telephones; everything else is refused in one line, with the way out.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from shared.errors import refusal

AGAIN, CONVERT = "make or download it again", "convert it to WAV or FLAC, for example with ffmpeg"
# how files begin: those that are read, and those that are mistaken for sound
CONTAINERS, FORMS = (b"RIFF", b"RIFX", b"RF64", b"FORM"), (b"WAVE", b"AIFF", b"AIFC")
KNOWN = (*CONTAINERS, b"fLaC", b"OggS", b".snd")
OTHERS = (
    (b"version https://git-lfs", "is a Git LFS pointer in place of the sound", "run `git lfs pull`"),
    ((b"<!doctype", b"<html"), "is an HTML page, so the download failed", "download it again"),
    (b"\0\5\x16\7", "is a side file of macOS (AppleDouble), not the sound", "give the file without `._`"),
    (b"", "is not WAV, FLAC, Ogg, MP3, AIFF or AU", CONVERT),
)
# encodings that are read: integers, floats, A-law, mu-law
WAV, EXTENSIBLE = (1, 3, 6, 7), 0xFFFE
AU = (1, 2, 3, 4, 5, 6, 7, 27)
AIFC = tuple(b"NONE,sowt,twos,raw ,fl32,FL32,fl64,FL64,in24,42ni,in32,23ni,ulaw,ULAW,alaw,ALAW".split(b","))
NAMES = {2: "MS ADPCM", 17: "IMA ADPCM", 49: "GSM 6.10", b"ima4": "IMA ADPCM", b"GSM ": "GSM 6.10"}
MOST_CHUNKS = 1_000  # looked at for the one that says how the sound is stored
MOST_TAGS = 8  # before an MP3


def hold_to_known(path: Path, stream: BinaryIO) -> None:
    """InputError for what is none of the kinds, or is stored in another way, by the file's own statement."""
    head = stream.read(64)
    if not head:
        raise refusal(path, "is empty (0 bytes)", AGAIN)
    at = 0
    for _ in range(MOST_TAGS):  # behind an ID3 tag any kind may follow, for libsndfile as well
        if not head.startswith(b"ID3") or len(head) < 10:
            break
        at += 10 + sum((byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        stream.seek(at)
        head = stream.read(64)
    mp3 = head[:1] == b"\xff" and head[1:2] >= b"\xe0" and head[1:2] != b"\xfe"  # ff fe begins UTF-16 text
    if not (mp3 or head.startswith(KNOWN)) or (head.startswith(CONTAINERS) and head[8:12] not in FORMS):
        start = head.lstrip().lower()
        raise refusal(path, *next(why for mark, *why in OTHERS if start.startswith(mark)))
    code, read = _encoding(stream, at, head)
    if not code:
        raise refusal(path, "does not say how its sound is stored", AGAIN)
    if code not in read:
        plain = code.decode("latin-1") if isinstance(code, bytes) else code
        raise refusal(path, f"is stored as {NAMES.get(code, f'code {plain}')}, which is not read", CONVERT)


def _encoding(stream: BinaryIO, at: int, head: bytes) -> tuple[int | bytes, tuple[int | bytes, ...]]:
    """The code by which a file says how its sound is stored, 0 or empty where it does not, and those that are read."""
    order = "little" if head[:4] in (b"RIFF", b"RF64") else "big"
    if head[8:12] == b"WAVE":
        form = _chunk(stream, at + 12, b"fmt ", order, 26)
        code = int.from_bytes(form[:2], order)
        return int.from_bytes(form[24:26], order) if code == EXTENSIBLE else code, WAV
    if head[8:12] == b"AIFC":
        return _chunk(stream, at + 12, b"COMM", order, 22)[18:], AIFC
    if head[:4] == b".snd":
        return int.from_bytes(head[12:16], order), AU
    return 1, (1,)  # nothing to choose


def _chunk(stream: BinaryIO, at: int, name: bytes, order: str, most: int) -> bytes:
    """The beginning of the first chunk of a name; empty where there is none."""
    for _ in range(MOST_CHUNKS):
        stream.seek(at)
        head = stream.read(8)
        size = int.from_bytes(head[4:], order)
        if head[:4] == name:
            return stream.read(min(size, most))
        if len(head) < 8:
            break
        at += 8 + size + size % 2
    return b""
