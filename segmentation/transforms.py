"""What is done to a picture and its mask together, so that each pixel keeps its label; and to the picture alone.

One choice, drawn once (``draw``), is applied to both: the same box of the source is cut out, scaled to the crop and
mirrored, the picture by bilinear filtering with antialiasing, the mask by nearest neighbours. What lies outside the
source is ignored in the mask, and the mean colour in the picture. Randomness is an input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from segmentation.palette import IGNORE

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601: how bright red, green and blue look
_GREY = np.tile(LUMA, (3, 1))
# rotation of hue is a turn around the grey axis
_AXIS = np.full((3, 3), 1 / 3, np.float32)
_CROSS = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], np.float32) / np.float32(math.sqrt(3))


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training crops vary. ``NO_AUGMENTATION`` is none at all."""

    crop: tuple[int, int] = (256, 256)
    """Height and width of a crop, in pixels."""
    scale: tuple[float, float] = (0.5, 2.0)
    """Least and largest factor; its logarithm is uniform, so that halving is as frequent as doubling."""
    flip: float = 0.5
    """Chance of being mirrored, left to right."""
    brightness: float = 0.3
    """Largest change, as a share: colours are multiplied by a factor from 0.7 to 1.3."""
    contrast: float = 0.3
    """Likewise, of the distance from the crop's mean brightness."""
    saturation: float = 0.3
    """Likewise, of the distance from grey."""
    hue: float = 0.03
    """Largest turn of the hue, in either direction; 1 is the whole circle."""

    def __post_init__(self):
        if len(self.crop) != 2 or min(self.crop) < 1:
            raise ValueError(f"crop is a height and a width in pixels, not {list(self.crop)}")
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] < math.inf:
            raise ValueError(f"scale is a least and a largest factor above 0, not {list(self.scale)}")
        for name in ("flip", "brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} lies between 0 and 1, not {getattr(self, name)}")
        if not 0 <= self.hue <= 0.5:
            raise ValueError(f"hue lies between 0 and 0.5, not {self.hue}")


NO_AUGMENTATION = Augmentation(scale=(1, 1), flip=0, brightness=0, contrast=0, saturation=0, hue=0)


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """``(pixel / 255 - mean) / std`` per channel: red, green, blue. The defaults are ImageNet's."""

    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def __post_init__(self):
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError("mean and std have three numbers, for red, green and blue, and std is above 0")

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """float32 ``[h, w, 3]`` from levels of 0 to 255, uint8 or float32 ``[h, w, 3]``."""
        height, width, _ = pixels.shape
        std = np.tile(np.array(self.std, np.float32), width)  # row by row: numpy is slow over an axis of 3
        out = np.multiply(pixels.reshape(height, -1), 1 / (255 * std), dtype=np.float32)
        out -= np.tile(np.array(self.mean, np.float32), width) / std
        return out.reshape(pixels.shape)

    def tensor(self, *pictures: np.ndarray) -> Tensor:
        """Pictures of one size, uint8 ``[h, w, 3]``, for a network: float32 ``[b, 3, h, w]``, channels_last."""
        return torch.from_numpy(np.stack([self(each) for each in pictures])).permute(0, 3, 1, 2)


IMAGENET = Normalisation()


@dataclass(frozen=True)
class Choice:
    """One crop: where it lies in the scaled picture, by which factor that is scaled, and how colours change."""

    crop: tuple[int, int]
    scale: float
    top: int
    left: int
    mirrored: bool = False
    colour: tuple[float, float, float, float] | None = None
    """Factors of brightness, contrast and saturation, and the turn of the hue."""


def draw(size: tuple[int, int], how: Augmentation, random: np.random.Generator) -> Choice:
    """Choose a crop of a picture of ``size`` (height, width).

    It lies anywhere in the scaled picture; where that is smaller, the picture lies anywhere in the crop. The same
    numbers are drawn whatever the size, so a choice depends on the generator's state alone.
    """
    low, high = (math.log(each) for each in how.scale)
    scale = math.exp(random.uniform(low, high))
    places, chance = random.random(2), random.random()
    rooms = [round(side * scale) - wanted for side, wanted in zip(size, how.crop, strict=True)]
    top, left = (round(float(place) * room) for place, room in zip(places, rooms, strict=True))
    spread = np.array([how.brightness, how.contrast, how.saturation, how.hue])
    turns = random.uniform(-1, 1, 4) * spread
    colour = (*(1 + turns[:3]).tolist(), float(turns[3])) if spread.any() else None
    return Choice(how.crop, scale, top, left, bool(chance < how.flip), colour)


def apply(choice: Choice, pixels: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The crop: picture, uint8 ``[h, w, 3]``; mask, uint8 ``[h, w]``; and where the source reaches, bool ``[h, w]``.

    Beyond the source, the picture is 0 and the mask is 255.
    """
    height, width = choice.crop
    shape = pixels.shape[:2]
    rows, row_box = _cut(shape[0], choice.scale, choice.top, height)
    columns, column_box = _cut(shape[1], choice.scale, choice.left, width)
    out = np.zeros((height, width, 3), np.uint8)
    labels = np.full((height, width), IGNORE, np.uint8)
    real = np.zeros((height, width), bool)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    if min(size) > 0:
        box = (column_box[0], row_box[0], column_box[1], row_box[1])
        image = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, box)
        image = np.asarray(image)
        out[rows, columns] = image if choice.colour is None else recolour(image, choice.colour)
        labels[rows, columns] = np.asarray(Image.fromarray(ids).resize(size, Image.Resampling.NEAREST, box))
        real[rows, columns] = True
    if choice.mirrored:
        out, labels, real = flip(out), flip(labels), flip(real)
    return out, labels, real


def flip(array: np.ndarray) -> np.ndarray:
    """Mirrored, left to right: ``[h, w]`` or ``[h, w, 3]``."""
    return array[:, ::-1]


def recolour(pixels: np.ndarray, colour: tuple[float, float, float, float]) -> np.ndarray:
    """Change brightness, contrast, saturation (factors) and hue (1 is the whole circle): uint8 ``[h, w, 3]``.

    All four are linear, so they are one 3 × 3 matrix and one offset.
    """
    brightness, contrast, saturation, hue = colour
    angle = 2 * math.pi * hue
    turn = math.cos(angle) * np.eye(3, dtype=np.float32) + (1 - math.cos(angle)) * _AXIS + math.sin(angle) * _CROSS
    matrix = contrast * brightness * (saturation * turn + (1 - saturation) * _GREY)
    mean = float(pixels[::4, ::4].mean((0, 1)) @ LUMA) * brightness  # a sixteenth of the pixels tell it as well
    levels = pixels.reshape(-1, 3).astype(np.float32) @ matrix.T.astype(np.float32)
    levels += np.float32((1 - contrast) * mean + 0.5)  # and a half, since the cast to integers rounds down
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8).reshape(pixels.shape)


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture, uint8 ``[h, w, 3]``, in another size (height, width): bilinear, antialiased."""
    return np.array(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR))


def resize_ids(ids: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask, uint8 ``[h, w]``, in another size (height, width): nearest neighbours."""
    return np.array(Image.fromarray(ids).resize(size[::-1], Image.Resampling.NEAREST))


def _cut(side: int, scale: float, start: int, length: int) -> tuple[slice, tuple[float, float]]:
    """Along one side: which pixels of the crop are real, and the box of the source that they show."""
    scaled = max(1, round(side * scale))
    first, last = max(0, start), min(scaled, start + length)
    factor = side / scaled
    return slice(first - start, max(first, last) - start), (first * factor, min(last * factor, side))
