"""The gate: every picture and every mask from outside is opened here, and leaves as a plain array.

A picture leaves as a viewer would show it: 8-bit RGB, turned as its EXIF block says, transparent parts over white;
colour profiles are not applied. A mask leaves as the numbers that its file holds, without an opinion on what they
mean. The size in the header is judged before a pixel is decoded, and files are told apart by their content, never
by their ending. What cannot be used is refused in one line; what is odd, but usable, leaves with a remark.
"""

from __future__ import annotations

import io
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from segmentation.jpeg import is_whole
from segmentation.limits import BYTES, PIXELS
from shared.errors import InputError, refusal

# what is refused, beside what is over the limits of segmentation.limits
PICTURES = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM")
MASKS = ("PNG", "TIFF", "GIF", "BMP", "PPM")  # the lossless ones
# what is mentioned
SMALLEST_SIDE = 8  # pixels; less is nothing to learn from
MOST_LOOKED_INTO = 100_000_000  # bytes of pixels; for more, looking for damage takes too long
DARKEST = 4_096  # a 16-bit picture below this was meant to have 12 bits

AGAIN, CONVERT = "make or download it again", "convert it to PNG or JPEG"
AS_PNG = "save the mask as PNG"
# how files begin that are mistaken for pictures
OTHERS = (
    (b"version https://git-lfs", "is a Git LFS pointer in place of the picture", "run `git lfs pull`"),
    ((b"<!doctype", b"<html"), "is an HTML page, so the download failed", "download it again"),
    (b"\0\5\x16\7", "is a side file of macOS (AppleDouble), not the picture", "give the file without `._`"),
    ((b"\x89png", b"\xff\xd8\xff", b"gif8"), "has a damaged header", AGAIN),
    (b"", f"is not one of {', '.join(PICTURES)}", CONVERT),
)
ORIENTATION = 0x0112  # the EXIF tag
warnings.filterwarnings("ignore", module=r"PIL\.")  # they name no file, and what matters of them is found out here
_LOSSY_IN_TIFF = ("jpeg", "tiff_jpeg", "webp")
_SCALED = {"L;2": 85, "L;4": 17}  # Pillow stretches grey of 2 and 4 bits to 0 … 255


@dataclass(frozen=True, eq=False)
class Picture:
    """``pixels`` uint8 ``[h, w, 3]``, red first, and what is odd about the file: texts without its path."""

    pixels: np.ndarray
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Mask:
    """The numbers of a mask file as they are stored, and how they are stored.

    ``values`` is an integer array ``[h, w]``: grey levels (uint8, uint16 or int32), palette numbers (uint8) or
    bits (uint8, 0 and 1); for "colour" it is uint8 ``[h, w, 3]``. ``palette`` is uint8 ``[256, 3]`` for "palette".
    """

    values: np.ndarray
    storage: Literal["grey", "palette", "bits", "colour"]
    palette: np.ndarray | None = None
    remarks: tuple[str, ...] = ()


def read_image(path: Path | str, most_pixels: int | None = None, thorough: bool = True) -> Picture:
    """Decode a picture to 8-bit RGB; of an animation or a document of several pages, the first.

    16-bit grey is scaled from 65,535 to 255. ``thorough`` looks for damage that the decoder does not mention
    (``segmentation.jpeg``), which takes about twice as long again. Raises InputError, one line, for what is no
    picture, is damaged, or is larger by its header than ``most_pixels``; None is the limit ``image-pixels``.
    """
    path = Path(path)
    with _opened(path, most_pixels) as (image, remarks), _refusing(path, "is damaged or cut off", AGAIN):
        image.load()
        pixels = _rgb(image, path, remarks)
        if thorough and image.format == "JPEG" and pixels.size < MOST_LOOKED_INTO:
            stored = np.asarray(image)
            if not is_whole(path.read_bytes(), _decoded, stored):
                remarks.append("damaged in the middle: its data do not end where its last block ends")
        pixels = _turn(pixels, _orientation(image))
    return Picture(pixels, tuple(remarks))


def upright(image: Image.Image) -> Picture:
    """An image that somebody else opened, as ``read_image`` would have given it."""
    remarks: list[str] = []
    with _refusing(Path(getattr(image, "filename", "") or "image"), "is damaged or cut off", AGAIN):
        image.load()
        pixels = _turn(_rgb(image, Path("image in memory"), remarks), _orientation(image))
    return Picture(pixels, tuple(remarks))


def read_mask(path: Path | str, most_pixels: int | None = None) -> Mask:
    """Decode a mask to the numbers that it holds; an opaque or other alpha channel is left out, with a remark.

    Raises InputError as ``read_image`` does, and for formats that do not keep numbers exactly (JPEG, WebP).
    """
    path = Path(path)
    with _opened(path, most_pixels) as (image, remarks):
        if image.format not in MASKS or image.info.get("compression") in _LOSSY_IN_TIFF:
            raise refusal(path, f"is a {image.format} file, which does not keep numbers exactly", AS_PNG)
        scale = _SCALED.get(str(image.tile[0][3]) if image.tile else "")
        with _refusing(path, "is damaged or cut off", AGAIN):
            image.load()
            values, storage = _numbers(image, path, remarks)
            if scale:
                values = values // scale
            values = _turn(values, _orientation(image))
            palette = _palette(image) if storage == "palette" else None
    return Mask(values, storage, palette, tuple(remarks))


def size_of(path: Path | str, most_pixels: int | None = None) -> tuple[int, int]:
    """``(height, width)`` as shown, from the header alone. Raises InputError as ``read_image`` does."""
    with _opened(Path(path), most_pixels) as (image, _):
        width, height = image.size
        # TIFF: Pillow has swapped them already; PNG: asking for its EXIF block would decode it
        asked = image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info)
        return (width, height) if asked and _orientation(image) >= 5 else (height, width)


_header = Lock()


@contextmanager
def _quietly(most_pixels: float) -> Iterator[None]:
    """Hold Pillow to our limit, without its warnings. Both are global, so one thread at a time, and for headers only.

    Pillow raises above twice its limit and warns above it.
    """
    with _header, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, most_pixels / 2
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


@contextmanager
def _refusing(path: Path, reason: str, advice: str) -> Iterator[None]:
    """Whatever a decoder raises over a damaged file, of many kinds, becomes one line."""
    try:
        yield
    except InputError:
        raise
    except MemoryError:
        raise refusal(path, "does not fit into memory", "make it smaller") from None
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise refusal(path, f"{reason} ({text})", advice) from None


@contextmanager
def _opened(path: Path, most_pixels: int | None) -> Iterator[tuple[Image.Image, list[str]]]:
    """Ask what kind of thing it is, and how large; only then may it be decoded."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # before opening: a named pipe would wait for ever
            raise refusal(path, "is a folder" if path.is_dir() else "is no regular file", "give an image file")
        BYTES.hold(path, status.st_size, "has {} bytes", "make it smaller")
        stream = path.open("rb")
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise refusal(path, f"cannot be opened ({text})", "check its name and permissions") from None
    with stream:
        head = stream.read(64)
        if not head:
            raise refusal(path, "is empty (0 bytes)", AGAIN)
        stream.seek(0)
        with _refusing(path, "cannot be read", AGAIN), _quietly(PIXELS.most if most_pixels is None else most_pixels):
            try:
                image = Image.open(stream, formats=PICTURES)
            except UnidentifiedImageError:
                start = head.lstrip().lower()
                raise refusal(path, *next(why for mark, *why in OTHERS if start.startswith(mark))) from None
            except Image.DecompressionBombError as error:
                _hold(path, int(re.findall(r"\d+", str(error))[0]), most_pixels)
                raise refusal(path, "is too large", "make it smaller") from None
            _hold(path, image.width * image.height, most_pixels)
            remarks = _remarks(image)
        with image:
            yield image, remarks


def _hold(path: Path, pixels: int, most: int | None) -> None:
    reason = "has {} pixels by its header"
    if most is None:
        PIXELS.hold(path, pixels, reason, "make it smaller, cut it")
    elif pixels > most:
        raise refusal(path, f"{reason.format(f'{pixels:,}')}, {most:,} are the most here", "make it smaller, or cut it")


def _orientation(image: Image.Image) -> int:
    """1 to 8 as EXIF counts them; 1, upright, where the block is absent, broken or absurd."""
    with _quietly(PIXELS.most):
        try:
            value = image.getexif().get(ORIENTATION, 1)
        except Exception:  # the pixels are fine
            return 1
    return value if value in range(1, 9) else 1


def _turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The array as it is to be shown."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.array(pixels, order="C")  # Pillow's own are read-only


def _remarks(image: Image.Image) -> list[str]:
    remarks = []
    if min(image.size) < SMALLEST_SIDE:
        remarks.append(f"only {image.width} × {image.height} pixels, too small to learn from")
    if getattr(image, "is_animated", False) and image.format != "MPO":  # phones put a preview behind a JPEG: an MPO
        remarks.append("animated, or of several pages: only the first picture is read")
    return remarks


def _decoded(data: bytes) -> np.ndarray | None:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            return np.asarray(image)
    except Exception:  # the bytes were changed on purpose
        return None


def _rgb(image: Image.Image, path: Path, remarks: list[str]) -> np.ndarray:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        grey = _eight_bits(np.asarray(image), image.mode, path, remarks)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image.convert("RGBA"))
        image = paper
    return np.asarray(image.convert("RGB"))


def _eight_bits(levels: np.ndarray, mode: str, path: Path, remarks: list[str]) -> np.ndarray:
    """Deep grey as uint8. Where the file does not say what white is, the range decides, with a remark."""
    low, high = levels.min(), levels.max()
    if not (low >= 0 and high <= 65_535):  # also where they are NaN
        raise refusal(path, f"has values from {low:.4g} to {high:.4g}, of unknown white", "save it with 8 bits")
    if mode.startswith("I;16"):
        if high < DARKEST:
            remarks.append(f"nearly black: its 16-bit values end at {high}")
        white = 65_535
    else:
        white = (1 if mode == "F" and high <= 1 else 255) if high <= 255 else 65_535
        remarks.append(f"values from {low:.4g} to {high:.4g}, read as 0 (black) to {white:,} (white)")
    return np.rint(levels * np.float32(255 / white)).astype(np.uint8)


def _numbers(image: Image.Image, path: Path, remarks: list[str]) -> tuple[np.ndarray, str]:
    mode = image.mode
    if mode in ("LA", "RGBA", "PA"):
        remarks.append("its alpha channel is left out")
    match mode:
        case "1":
            return np.asarray(image).astype(np.uint8), "bits"
        case "P":
            return np.asarray(image), "palette"
        case "PA" | "LA":
            return np.asarray(image)[:, :, 0], "palette" if mode == "PA" else "grey"
        case "RGB" | "RGBA":
            return np.asarray(image)[:, :, :3], "colour"
        case "L" | "I" | "I;16" | "I;16B" | "I;16L" | "I;16N":
            values = np.asarray(image)
            return values.astype(values.dtype.newbyteorder("=")), "grey"
        case "F":
            values = np.asarray(image)
            if not (np.abs(values) < 2**24).all() or (values % 1).any():
                raise refusal(path, "holds fractions in place of class numbers", AS_PNG)
            return values.astype(np.int32), "grey"
    raise refusal(path, f"is a {mode} picture, not a mask", AS_PNG)


def _palette(image: Image.Image) -> np.ndarray:
    colours = np.zeros((256, 3), np.uint8)
    given = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)[:256]
    colours[: len(given)] = given
    return colours
