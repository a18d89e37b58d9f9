"""What the classes are: names, colours, and which numbers stand for them in mask files; and pictures of masks.

Inside this package a mask is uint8 ``[h, w]`` with the ids 0 … k-1 and 255 for pixels that count for nothing.
Which colour belongs to which id is said here alone.
"""

from __future__ import annotations

import colorsys
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from shared.errors import refusal
from shared.files import write_file
from shared.tables import rows_of

IGNORE = 255
"""The id of pixels that no loss and no score counts."""
MOST_CLASSES = 255

# Okabe & Ito, "Color Universal Design", 2008: told apart by people with any common colour blindness
OKABE_ITO = (
    (0, 0, 0),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
VOC_NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
NOTHING = (224, 224, 192)  # the colour of ignored pixels in pictures: that of void in Pascal VOC

Colour = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Classes:
    """The classes of a data set, in the order of their ids; plain values that JSON can hold.

    >>> Classes(names=("road", "car"), colours=((128, 64, 128), (64, 0, 128))).count
    2
    """

    names: tuple[str, ...]
    """One for each class, all different."""
    colours: tuple[Colour, ...]
    """Red, green, blue, 0 to 255; all different."""
    values: tuple[int, ...] = ()
    """The number of each class in mask files; empty: the ids themselves."""
    ignored: tuple[int, ...] = (IGNORE,)
    """The numbers in mask files that become 255."""
    ignored_colours: tuple[Colour, ...] = ()
    """The colours in colour masks that become 255."""
    stated: bool = False
    """Whether the colours were given, so that colour masks can be read by them; or else they are for showing only."""

    def __post_init__(self):
        if not 1 <= len(self.names) <= MOST_CLASSES:
            raise ValueError(f"there must be 1 to {MOST_CLASSES} classes, not {len(self.names)}")
        if len(self.colours) != self.count or len(self.values) not in (0, self.count):
            raise ValueError("names, colours and values differ in number")
        for colour in (*self.colours, *self.ignored_colours):
            if len(colour) != 3 or not all(0 <= part <= 255 for part in colour):
                raise ValueError(f"{list(colour)} is no colour: red, green, blue, each 0 to 255")
        for what, given in (
            ("name", self.names),
            ("colour", self.colours + self.ignored_colours),
            ("value", self.numbers + self.ignored),
        ):
            if len(set(given)) < len(given):
                twice = next(each for at, each in enumerate(given) if each in given[:at])
                raise ValueError(f"the {what} {twice} occurs twice")

    @property
    def count(self) -> int:
        """How many there are: the k of ``[k]``."""
        return len(self.names)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The number of each class in mask files."""
        return self.values or tuple(range(len(self.names)))

    @property
    def table(self) -> np.ndarray:
        """uint8 ``[256, 3]``: the colour of every id."""
        table = np.full((256, 3), NOTHING, np.uint8)
        table[: self.count] = self.colours
        return table


def numbered(count: int, names: Sequence[str] = (), ignored: tuple[int, ...] = (IGNORE,)) -> Classes:
    """Classes of which only the number, or the names, are known; safe colours.

    >>> numbered(3).names
    ('class 0', 'class 1', 'class 2')
    """
    names = tuple(names) or tuple(f"class {at}" for at in range(count))
    return Classes(names=names, colours=safe_colours(len(names)), ignored=ignored)


def safe_colours(count: int) -> tuple[Colour, ...]:
    """Different colours: the first eight are told apart by the colour-blind, further ones differ as they can."""
    colours = dict.fromkeys(OKABE_ITO[:count])
    step = 0
    while len(colours) < count:  # hues by the golden angle, in three strengths
        red, green, blue = colorsys.hsv_to_rgb(
            step * 0.618034 % 1, (0.85, 0.5, 0.7)[step % 3], (0.95, 0.8, 0.5)[step % 3]
        )
        colours.setdefault((round(255 * red), round(255 * green), round(255 * blue)))
        step += 1
    return tuple(colours)


def voc_colours(count: int) -> tuple[Colour, ...]:
    """The colour map of Pascal VOC: the bits of an id, three at a time, are the high bits of red, green and blue.

    >>> voc_colours(4)
    ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0))
    """

    def part(at: int, channel: int) -> int:
        return sum((at >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(3))

    return tuple((part(at, 0), part(at, 1), part(at, 2)) for at in range(count))


VOC = Classes(names=VOC_NAMES, colours=voc_colours(21), ignored_colours=(NOTHING,), stated=True)
"""Pascal VOC 2012; 255 is the border around objects."""


def read_classes(path: Path | str) -> Classes:
    """Read a table of classes: one a line, in the order of their ids.

    With a heading, the columns are found by name: ``name``, and as wanted ``red green blue`` (or ``r g b``),
    ``value`` (its number in mask files; or else the row, from 0), ``ignored`` (yes: it counts for nothing); others
    are passed over. Without one, a line is ``name`` or ``name,red,green,blue``. Raises InputError, naming the line.
    """
    path = Path(path)
    advice = "give a CSV file with a line `name,red,green,blue` for each class"
    rows = [(at, [cell.strip() for cell in row]) for at, row in enumerate(rows_of(path, advice), 1) if any(row)]
    if not rows:
        raise refusal(path, "is empty", advice)
    heading = [{"r": "red", "g": "green", "b": "blue"}.get(cell.lower(), cell.lower()) for cell in rows[0][1]]
    if "name" in heading:
        rows = rows[1:]
    else:
        heading = ["name", "red", "green", "blue"]
    try:
        return _classes([_Row.of(at, index, heading, cells) for index, (at, cells) in enumerate(rows)])
    except ValueError as error:
        raise refusal(path, str(error), "correct the file") from None


@dataclass(frozen=True)
class _Row:
    name: str
    value: int
    colour: Colour | None
    ignored: bool

    @classmethod
    def of(cls, line: int, index: int, heading: list[str], cells: list[str]) -> _Row:
        cell = dict(zip(heading, cells, strict=False))
        if not cell.get("name"):
            raise ValueError(f"line {line} has no name")
        if not cell["name"].isprintable():  # names are said in messages and tables
            raise ValueError(f"line {line}: the name {cell['name']!r} holds control characters")

        def number(column: str) -> int:
            text = cell.get(column, "")
            if not (text.isascii() and text.isdigit()):
                raise ValueError(f"line {line}: {column} is {text!r}, not a number")
            return int(text)

        colour = tuple(number(part) for part in ("red", "green", "blue")) if cell.get("red") else None
        ignored = cell.get("ignored", "").lower() in ("yes", "true", "1")
        return cls(cell["name"], number("value") if cell.get("value") else index, colour, ignored)


def _classes(rows: list[_Row]) -> Classes:
    kept, left = [row for row in rows if not row.ignored], [row for row in rows if row.ignored]
    coloured = [row for row in kept if row.colour]
    if coloured and len(coloured) < len(kept):
        raise ValueError(f"{next(row.name for row in kept if not row.colour)} has no colour, but others have")
    values = tuple(row.value for row in kept)
    void = tuple(dict.fromkeys(row.value for row in left))
    return Classes(
        names=tuple(row.name for row in kept),
        colours=tuple(row.colour for row in kept if row.colour) or safe_colours(len(kept)),
        values=() if values == tuple(range(len(kept))) else values,
        ignored=void if IGNORE in values + void else (*void, IGNORE),
        ignored_colours=tuple(dict.fromkeys(row.colour for row in left if row.colour)),
        stated=bool(coloured),
    )


def palette_png(ids: np.ndarray, classes: Classes) -> bytes:
    """A PNG whose pixels are the ids, uint8 ``[h, w]``, and whose palette shows them in the colours of the classes."""
    image = Image.fromarray(np.ascontiguousarray(ids, np.uint8))
    image.putpalette(classes.table.tobytes())
    return _png(image)


def write_palette_png(path: Path, ids: np.ndarray, classes: Classes) -> None:
    """Write ``palette_png`` in one step; raise InputError if that fails."""
    write_file(path, palette_png(ids, classes))


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write RGB, uint8 ``[h, w, 3]``, or grey ``[h, w]``, in one step; raise InputError if that fails."""
    write_file(path, _png(Image.fromarray(np.ascontiguousarray(pixels, np.uint8))))


def coloured(ids: np.ndarray, classes: Classes) -> np.ndarray:
    """A mask in colours: ids uint8 ``[h, w]`` to uint8 ``[h, w, 3]``."""
    return classes.table[ids]


def overlay(pixels: np.ndarray, ids: np.ndarray, classes: Classes, opacity: float = 0.5) -> np.ndarray:
    """The picture, uint8 ``[h, w, 3]``, with the mask's colours over it; ignored pixels stay as they are."""
    mixed = np.rint(pixels * np.float32(1 - opacity) + coloured(ids, classes) * np.float32(opacity)).astype(np.uint8)
    return np.where((ids == IGNORE)[:, :, None], pixels, mixed)


def side_by_side(*pictures: np.ndarray, gap: int = 8) -> np.ndarray:
    """Pictures of one height, uint8 ``[h, w, 3]``, from left to right, with white between them."""
    if len({len(each) for each in pictures}) != 1:
        raise ValueError(f"heights differ: {[len(each) for each in pictures]}")
    white = np.full((len(pictures[0]), gap, 3), 255, np.uint8)
    return np.concatenate(list(_with(white, pictures)), axis=1)


def legend(classes: Classes, width: int = 640) -> np.ndarray:
    """The names of the classes beside their colours, in lines of at most ``width`` pixels: uint8 ``[h, width, 3]``."""
    font = ImageFont.load_default()
    entries = [
        (name, colour, 26 + round(font.getlength(name)))
        for name, colour in zip(classes.names, classes.colours, strict=True)
    ]
    places, x, y = [], 4, 4
    for _, _, wide in entries:
        if x > 4 and x + wide > width:
            x, y = 4, y + 18
        places.append((x, y))
        x += wide
    image = Image.new("RGB", (width, y + 18), "white")
    pen = ImageDraw.Draw(image)
    for (name, colour, _), (x, y) in zip(entries, places, strict=True):
        pen.rectangle((x, y, x + 12, y + 12), fill=tuple(colour), outline="black")
        pen.text((x + 17, y), name, fill="black", font=font)
    return np.array(image)


def _with(between: np.ndarray, pictures: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    for at, each in enumerate(pictures):
        if at:
            yield between
        yield each


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
