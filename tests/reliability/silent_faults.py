"""Faults in data that the libraries load without a word, and data that they load as something else."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from segmentation.data.masks import Decoder
from segmentation.images import read_image
from segmentation.palette import numbered
from tests.reliability import commands
from tests.reliability.manifest import CLASSES, LOAD, OTHERWISE, PASS, SKIP, USE, Row, fate_alone, fates_in_folder, rows
from tests.reliability.promise import Figure, Promise, Tier, bad_files
from tests.reliability.trial import trial
from wavenet import audio

ALIKE = 8.0  # levels of 256, on average: two pictures of one thing, after JPEG
CLOSE = 0.01  # of full scale, root mean square: one sound, after resampling or 8-bit codes
# the same thing, stored in another way
PICTURES = ("exif_rotated_90.jpg", "exif_rotated_180.jpg", "gray_16bit.png", "gray_8bit.jpg", "gray_alpha.png")
PICTURES += ("float.tiff", "cmyk.jpg", "progressive.jpg")
MASKS = ("mask_palette.png", "mask_16bit.png", "mask_one_bit.png")
SOUNDS = ("rate_192000.wav", "mu_law.wav", "pcm_8bit.wav", "stereo_left_silent.wav", "six_channels.wav")


def silent() -> list[Row]:
    """The files that should not pass without a word, but do in soundfile and Pillow."""
    wrong = [row for row in rows() if row.alone != LOAD or row.in_folder not in (USE, PASS)]
    wrong = [row for row in wrong if row.name not in OTHERWISE]
    return [row for row in wrong if not row.seen.startswith("raises") and "warned" not in row.seen]


def proof(tier: Tier) -> Figure:
    """Each is refused or warned of; what is stored oddly is read as what it is; training names what it leaves out."""
    chosen, in_folder = silent(), trial(fates_in_folder).answer
    told = sum(fate_alone(row) != LOAD or in_folder[row.name] not in (USE, PASS) for row in chosen)
    right, stored = _read_right(_picture, _mask, _sound)
    said = f"{told} of {len(chosen)} faults reported, {right} of {stored} odd storages read right"
    held, of = told + right, len(chosen) + stored
    if tier.name == "full":
        left_out = [row for row in rows() if row.in_folder == SKIP]
        named = sum(_named_by_training(tier, program, left_out) for program in commands.MAINS)
        said += f", {named} of {len(left_out)} useless files named by training"
        held, of = held + named, of + len(left_out)
    return Figure(held, of, said)


def control(tier: Tier) -> Figure:  # noqa: ARG001 (no files of its own)
    """The same, opened by the libraries; what they raise and what they warn of counts as reported."""
    chosen = silent()
    told = sum(_raises_or_warns(row) for row in chosen)
    right, stored = _read_right(
        lambda path: np.array(Image.open(path).convert("RGB")),
        lambda path: np.array(Image.open(path).convert("L")),
        lambda path: soundfile.read(path, always_2d=True)[0][:, 0],
    )
    said = f"{told} of {len(chosen)} faults reported, {right} of {stored} odd storages read right"
    return Figure(told + right, len(chosen) + stored, said)


def _named_by_training(tier: Tier, program: str, left_out: list[Row]) -> int:
    data, out = bad_files() / ("audio" if program == "wavenet" else "."), tier.scratch / program
    settings = (*commands.usual(program), "--steps", 1, "-o", out)
    said = trial(lambda: commands.run(program, "train", data, *settings).err).answer or ""
    kinds = ("audio",) if program == "wavenet" else ("image", "mask")
    ours = [row.path for row in left_out if row.kind in kinds]
    return sum(str(path) in said or f" and {path.name} have" in said for path in ours)


def _raises_or_warns(row: Row) -> bool:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            if row.kind == "audio":
                soundfile.read(row.path)
            else:
                with Image.open(row.path) as image:
                    image.convert("RGB" if row.kind == "image" else "L")
        except Exception:
            return True
    return bool(said)


def _picture(path: Path) -> np.ndarray:
    return read_image(path).pixels


def _mask(path: Path) -> np.ndarray:
    return Decoder(numbered(CLASSES)).read(path)


def _sound(path: Path) -> np.ndarray:
    return audio.read(path)


def _read_right(*readers: Callable[[Path], np.ndarray]) -> tuple[int, int]:
    """How many of the odd storages hold what the plain one holds, by the readers of pictures, masks and sounds."""
    picture, mask, sound = readers
    folder, right = bad_files(), 0
    whole = read_image(folder / "images" / "good_reference.jpg").pixels
    for name in PICTURES:
        found = picture(folder / "images" / name)
        grey = name.startswith(("gray", "float"))
        wanted = np.repeat(whole @ [0.299, 0.587, 0.114], 3).reshape(whole.shape) if grey else whole
        right += found.shape == wanted.shape and bool(np.abs(found - wanted.astype(float)).mean() < ALIKE)
    ids = np.array(Image.open(folder / "masks" / "good_reference.png"))
    for name in MASKS:
        found, wanted = mask(folder / "masks" / name), ids == 2 if name == "mask_one_bit.png" else ids
        right += found.shape == wanted.shape and np.array_equal(found, wanted)
    wave = audio.read(folder / "audio" / "good_reference.wav")
    for name in SOUNDS:
        found = sound(folder / "audio" / name)
        right += _is_of(found, wave)
    return right, len(PICTURES) + len(MASKS) + len(SOUNDS)


def _is_of(found: np.ndarray, wave: np.ndarray) -> bool:
    """Whether it is the sound, or its beginning, at the same rate, louder or softer."""
    size = min(len(found), len(wave))
    found, wave = found[:size], wave[:size]
    gain = float(found @ wave) / max(1e-9, float(wave @ wave))
    return gain > 0.1 and float(np.sqrt(np.mean((found - gain * wave) ** 2))) < CLOSE


PROMISE = Promise(
    number=9,
    guarantee="Nothing is silently wrong in the data: cut-off sound, headers of killed writers, NaN, clipping, "
    "silence, masks of another size, of classes that there are not, or empty are reported, and training names what it "
    "leaves out; turned pictures, 16-bit grey and palettes are read as what they show.",
    naive="`soundfile.read` and `Image.open(…).convert`, of whose silences this is the list",
    proof=proof,
    control=control,
)
