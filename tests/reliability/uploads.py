"""Hostile files for a served page: what claims to be long or large, unpacks without end, or is something else."""

from __future__ import annotations

import io
import json
import struct
import zlib

import numpy as np
import soundfile
from PIL import Image

HOURS = 3 * 3600  # seconds of silence in a FLAC of some ten kilobytes


def silent_flac() -> bytes:
    """Hours of silence, at 1 kHz."""
    out = io.BytesIO()
    soundfile.write(out, np.zeros(HOURS * 1000, np.int16), 1000, format="FLAC", subtype="PCM_16")
    return out.getvalue()


def claiming(flac: bytes, samples: int) -> bytes:
    """The same, but its header says that it holds so many; 0 stands for a number not known."""
    place = 4 + 4 + 13  # behind the mark and the head of the first block; 36 bits are the number
    first = bytes([flac[place] & 0xF0 | samples >> 32])
    return flac[:place] + first + (samples & 0xFFFFFFFF).to_bytes(4, "big") + flac[place + 5 :]


def wav(frames: int = 200, channels: int = 1, rate: int = 16_000, code: int = 1, bits: int = 16) -> bytes:
    """A WAV whose header claims all that, and 400 bytes of noise."""
    size, align = min(frames * channels * bits // 8, 2**32 - 64), channels * bits // 8 & 0xFFFF
    form = struct.pack("<HHIIHH", code, channels, rate, rate * align & 0xFFFFFFFF, align, bits)
    noise = np.random.default_rng(0).bytes(400)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + size)
        + b"WAVEfmt \x10\0\0\0"
        + form
        + b"data"
        + struct.pack("<I", size)
        + noise
    )


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG whose header promises more than its few bytes hold."""
    head = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    every = (head, *chunks, (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in every
    )


def packed_png(side: int) -> bytes:
    """A whole PNG of so many pixels a side, all black."""
    out = io.BytesIO()
    Image.new("1", (side, side)).save(out, "PNG")
    return out.getvalue()


def wishes() -> dict[str, bytes]:
    """For a page that draws sound: bad wishes, and good ones with bad files."""
    good = b'{"seconds": 0.02}\n'
    flac = silent_flac()
    numbers = struct.pack("<fff", 0, float("nan"), float("inf")) * 30
    files = {
        "a text": b"hello\n" * 99,
        "a page": b"<!doctype html><p>",
        "half a header": wav()[:30],
        "a FLAC that unpacks for hours": flac,
        "one that does not say so": claiming(flac, 0),
        "one that claims 2^36 samples": claiming(flac, 2**36 - 1),
        "a WAV of 60,000 channels": wav(channels=60_000),
        "a WAV at 2 GHz": wav(rate=2_147_483_647),
        "a WAV at 0 Hz": wav(rate=0),
        "a WAV of an odd code": wav(code=0x11, bits=4),
        "a WAV that is no numbers": wav(code=3, bits=32)[:44] + numbers,
        "frames, where none are taken": b"\x93NUMPY\x01\x00" + bytes(200),
    }
    return {
        "no wish": b"",
        "no JSON": b"hello\n",
        "a list": b"[]\n",
        "nested without end": b"[" * 100_000 + b"\n",
        "a number of a million digits": b'{"seed": ' + b"9" * 10**6 + b"}\n",
        "a year of sound": json.dumps({"seconds": 3e7}).encode() + b"\n",
        "no number": b'{"seconds": NaN}\n',
        "an unknown field": b'{"path": "/etc/passwd"}\n',
        **{name: good + content for name, content in files.items()},
    }


def pictures() -> dict[str, bytes]:
    """For a page that takes pictures."""
    text = b"Comment\0\0" + zlib.compress(bytes(200 * 2**20), 1)
    return {
        "nothing": b"",
        "a text": b"hello\n" * 50,
        "a page": b"<!doctype html><p>",
        "2,500 megapixels": png(50_000, 50_000),
        "169 megapixels": packed_png(13_000),
        "26 megapixels": packed_png(5100),
        "a strip": png(2_000_000, 1),
        "less than it says": png(4000, 4000),
        "text that unpacks to 200 MB": png(4000, 4000, (b"zTXt", text)),
        "a PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "half a picture": packed_png(400)[:60],
    }
