"""Small whole files of every kind that is read from outside, and ways to spoil them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import soundfile
from PIL import Image

from segmentation.data.shapes import draw
from wavenet.data.plucks import melody

SOUNDS = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "law.wav": ("WAV", "ULAW"),
    "rf64.wav": ("RF64", "PCM_24"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
PICTURES = {
    "png": {"format": "PNG"},
    "jpg": {"format": "JPEG"},
    "progressive.jpg": {"format": "JPEG", "progressive": True},
    "tiff": {"format": "TIFF"},
    "small.tiff": {"format": "TIFF", "compression": "tiff_lzw"},
    "webp": {"format": "WEBP"},
    "gif": {"format": "GIF"},
    "bmp": {"format": "BMP"},
}
MASKS = {"mask.png": {"format": "PNG"}, "mask.tiff": {"format": "TIFF"}}
EXTREME = (0, 1, 127, 128, 255)


@dataclass(frozen=True)
class Spoilt:
    """A file that was whole once; its name tells what it was."""

    name: str
    content: bytes

    @property
    def kind(self) -> str:
        """The ending of its name."""
        return self.name.split(".", 1)[1]


def whole_files() -> dict[str, bytes]:
    """One of each kind, by its ending, some kilobytes each."""
    return {**_sounds(), **_pictures(), **_numbers(), **_texts()}


def spoilt_files(count: int, seed: int) -> Iterator[Spoilt]:
    """So many files, all kinds in turn, each spoilt in one way, drawn at random."""
    random, whole = np.random.default_rng(seed), list(whole_files().items())
    for number in range(count):
        kind, content = whole[number % len(whole)]
        change = CHANGES[int(random.integers(len(CHANGES)))]
        yield Spoilt(f"{number}.{kind}", change(content, random))


def _bytes_changed(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for place in random.integers(len(changed), size=random.integers(1, 9)):
        changed[place] = random.integers(256)
    return bytes(changed)


def _header_changed(content: bytes, random: np.random.Generator) -> bytes:
    """Runs of extreme values near the beginning, where lengths and counts stand."""
    changed = bytearray(content)
    for place in random.integers(min(len(changed), 96), size=random.integers(1, 4)):
        size = int(random.choice((1, 2, 4)))
        changed[place : place + size] = bytes([int(random.choice(EXTREME))]) * size
    return bytes(changed)


def _cut(content: bytes, random: np.random.Generator) -> bytes:
    return content[: random.integers(len(content))]


def _shifted(content: bytes, random: np.random.Generator) -> bytes:
    """A piece is put in, or left out, so that what is behind it no longer stands where it should."""
    place, size = int(random.integers(len(content))), int(random.integers(1, 40))
    if random.random() < 0.5:
        return content[:place] + content[place + size :]
    return content[:place] + random.bytes(size) + content[place:]


CHANGES: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (_bytes_changed, _header_changed, _cut, _shifted)


def _sounds() -> dict[str, bytes]:
    wave, found = melody(0.25, np.random.default_rng(0)), {}
    for ending, (form, subtype) in SOUNDS.items():
        out = io.BytesIO()
        soundfile.write(out, wave, 16_000, format=form, subtype=subtype)
        found[ending] = out.getvalue()
    return found


def _pictures() -> dict[str, bytes]:
    pixels, ids = draw((40, 56), np.random.default_rng(0))
    found = {}
    for array, kinds in ((pixels, PICTURES), (ids, MASKS)):
        for ending, settings in kinds.items():
            out = io.BytesIO()
            Image.fromarray(array).save(out, **settings)
            found[ending] = out.getvalue()
    return found


def _numbers() -> dict[str, bytes]:
    out = io.BytesIO()
    np.save(out, np.random.default_rng(0).standard_normal((4, 40)).astype(np.float32))
    return {"npy": out.getvalue()}


def _texts() -> dict[str, bytes]:
    return {
        "speakers.csv": "".join(f"{at}.wav,voice {at % 3}\n" for at in range(20)).encode(),
        "pairs.txt": "".join(f"images/{at}.png,masks/{at}.png\n" for at in range(20)).encode(),
        "classes.csv": b"name,red,green,blue\nroad,128,64,128\nsky,70,130,180\ncar,0,0,142\n",
    }
