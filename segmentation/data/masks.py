"""From the numbers in mask files to ids: how a set of masks is to be read is decided once, over all of them.

Three readings are known. *ids*: a number is a class (grey levels, palette numbers, bits, or grey stored as RGB).
*colours*: a colour is a class, by a table that the user gave. *binary*: 0 is the background and 255 the object.
Left to itself, each kind of storage gets the reading that explains the most pixels of the whole set, colours before
ids where both do; grey masks that hold 0 and 255 and nothing else are binary. A single odd file thus never changes
how the others are read: it is refused, by its name, its number, how often and where.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from segmentation.images import Mask, read_mask
from segmentation.palette import IGNORE, MOST_CLASSES, Classes, numbered
from shared.errors import InputError, refusal, shown

Encoding = Literal["auto", "ids", "colours", "binary"]
Reading = Literal["ids", "colours", "binary"]
GREY = 0x010101  # a grey level times this is its colour, 0xRRGGBB
MOST_CODES = 4_096  # different colours of one mask that are kept for the decision
RARE = 0.05  # share of the masks; a number that fewer hold and that leaves a gap is a mistake, not a class
TABLE = "give a class table, a CSV file with lines of name,red,green,blue"


@dataclass(frozen=True, eq=False)
class Seen:
    """What one mask file holds: its ``codes`` (numbers, or colours as 0xRRGGBB) and how many pixels have each."""

    path: Path
    size: tuple[int, int]  # height, width
    storage: str
    codes: np.ndarray  # int64, ascending
    counts: np.ndarray  # int64
    colours: np.ndarray  # int64: 0xRRGGBB of the codes
    remarks: tuple[str, ...]

    @property
    def grey(self) -> bool:
        """Whether red, green and blue are alike all over."""
        return bool((self.codes == self.codes % 256 * GREY).all())


def look(path: Path) -> Seen:
    """Decode a mask once and count what is in it. Raises InputError for what the gate refuses."""
    mask = read_mask(path)
    values = _packed(mask.values) if mask.storage == "colour" else mask.values
    if values.dtype == np.uint8:
        counts = np.bincount(values.ravel(), minlength=256)
        codes = np.flatnonzero(counts)
        counts = counts[codes]
    else:
        codes, counts = np.unique(values, return_counts=True)
        if len(codes) > MOST_CODES:
            keep = np.sort(np.argsort(-counts, kind="stable")[:MOST_CODES])
            codes, counts = codes[keep], counts[keep]
    codes = codes.astype(np.int64)
    colours = codes if mask.storage == "colour" else codes * GREY
    if mask.palette is not None:
        colours = _packed(mask.palette)[codes].astype(np.int64)
    return Seen(path, mask.values.shape[:2], mask.storage, codes, counts, colours, mask.remarks)


@dataclass(frozen=True, eq=False)
class Decoder:
    """How the masks of a set are read: ``decoder.read(path)`` gives ids."""

    classes: Classes
    grey: Reading = "ids"
    palette: Reading = "ids"
    colour: Reading = "colours"
    wary: bool = False
    """Refuse a grey mask of 0 and 255 alone in a set of ids: there 255 is ignored, and its object would vanish."""

    def read(self, path: Path) -> np.ndarray:
        """uint8 ``[h, w]``: ids, 255 where ignored. Raises InputError for numbers or colours of no class."""
        mask = read_mask(path)
        reading = self._reading(mask.storage)
        keys, ids = self._tables[reading]
        values = _codes(mask, reading)
        if self._suspects(reading, mask.storage) and values.dtype == np.uint8 and values.max() == IGNORE:
            self._refuse_binary(path, np.flatnonzero(np.bincount(values.ravel())))
        if values.dtype == np.uint8:
            table = np.full(256, -1, np.int16)
            table[keys[keys < 256]] = ids[keys < 256]
            found = table[values]
        else:
            at = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
            found = np.where(keys[at] == values, ids[at], np.int16(-1))
        if (found < 0).any():
            raise self._unknown(path, reading, values, found)
        return found.astype(np.uint8)

    def count(self, seen: Seen) -> np.ndarray | None:
        """Pixels of each id, and last those ignored: int64 ``[k + 1]``. None where ``read`` would refuse the file."""
        reading = self._reading(seen.storage)
        if self._suspects(reading, seen.storage) and set(_levels(seen).tolist()) == {0, IGNORE}:
            return None
        mapping = dict(zip(*(part.tolist() for part in self._tables[reading]), strict=True))
        codes = seen.colours if reading == "colours" else _levels(seen)
        found = [mapping.get(code, -1) for code in codes.tolist()]
        if min(found) < 0:
            return None
        total = np.zeros(self.classes.count + 1, np.int64)
        np.add.at(total, np.minimum(found, self.classes.count), seen.counts)
        return total

    def _reading(self, storage: str) -> Reading:
        return "ids" if storage == "bits" else getattr(self, storage)

    @cached_property
    def _tables(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """For each reading the codes in ascending order, int64, and the id of each, int16."""
        tables = {}
        for reading in ("ids", "colours", "binary"):
            pairs = sorted(meanings(self.classes, reading).items())
            keys, ids = zip(*pairs, strict=True)
            tables[reading] = (np.array(keys, np.int64), np.array(ids, np.int16))
        return tables

    def _suspects(self, reading: Reading, storage: str) -> bool:
        return self.wary and reading == "ids" and storage in ("grey", "colour") and IGNORE in self.classes.ignored

    def _refuse_binary(self, path: Path, codes: np.ndarray) -> None:
        if set(codes.tolist()) == {0, IGNORE}:
            reason = "holds 0 and 255 alone, but in this set 255 is ignored, so its object would vanish"
            raise refusal(path, reason, "give it class numbers, or set data.encoding=ids")

    def _unknown(self, path: Path, reading: Reading, values: np.ndarray, found: np.ndarray) -> InputError:
        codes, counts = np.unique(values[found < 0], return_counts=True)
        code, count = int(codes[counts.argmax()]), int(counts.max())
        row, column = np.argwhere(values == code)[0]
        more = f" and {len(codes) - 1} more" if len(codes) > 1 else ""
        where = f"{more} ({count:,} pixel{'s' * (count > 1)}, first at x {column}, y {row})"
        if reading == "colours":
            advice = "correct it, or the class table" if self.classes.stated else TABLE
            return refusal(path, f"has the colour {_rgb(code)}{where}, which is no class", advice)
        if code < 0:
            return refusal(path, f"has the colour {_rgb(-1 - code)}{where} in place of a class number", TABLE)
        return refusal(path, f"has the value {code}{where}, {self._known(reading)}", "correct it")

    def _known(self, reading: Reading) -> str:
        if reading == "binary":
            return "but is read as binary: 0 and 255"
        numbers = self.classes.numbers
        span = f"{numbers[0]} to {numbers[-1]}" if numbers == tuple(range(len(numbers))) else _listed(numbers)
        return f"but the {len(numbers)} classes are {span}, and ignored is {_listed(self.classes.ignored) or 'nothing'}"


def meanings(classes: Classes, reading: Reading) -> dict[int, int]:
    """The id of every code that a reading knows."""
    if reading == "binary":
        return {0: 0, 255: 1}
    if reading == "colours":
        return {_code(colour): at for at, colour in enumerate(classes.colours)} | {
            _code(colour): IGNORE for colour in classes.ignored_colours
        }
    return {number: at for at, number in enumerate(classes.numbers)} | dict.fromkeys(classes.ignored, IGNORE)


def decide(
    seen: Sequence[Seen], classes: Classes | None = None, encoding: Encoding = "auto"
) -> tuple[Decoder, list[str]]:
    """How to read a set of masks, and remarks on it; classes that were not given are found in the masks.

    Found classes are 0 to the highest number. Where over half of the numbers below it occur in no mask, numbers that
    few masks hold are taken for mistakes; if that does not help, InputError says which numbers there are.
    """
    if not seen:
        raise InputError("masks: there are none that can be read; give pictures with masks")
    levels = [each for each in seen if each.storage in ("grey", "bits") or (each.storage == "colour" and each.grey)]
    colour = [each for each in seen if each.storage == "colour"]
    palette = [each for each in seen if each.storage == "palette"]
    remarks: list[str] = []
    binary = encoding == "binary" or (encoding == "auto" and _holds_0_255(levels))
    if binary and classes is not None and classes.count != 2:
        if encoding == "binary":
            raise InputError(f"masks: read as binary, they have 2 classes, but {classes.count} were given")
        binary = False
    if binary and encoding == "auto" and classes is not None and classes.stated and IGNORE in classes.ignored:
        binary = False  # the table says what 255 is
    if binary:
        remarks.append("the masks hold 0 and 255 only: read as binary, 0 the background and 255 the object")
        classes = classes or numbered(2, ("background", "object"))
    if classes is None:
        if encoding == "colours" or not (levels or palette):
            raise InputError(f"masks: they are in colours ({_most_common(colour or palette)}); {TABLE}")
        classes = _found([*levels, *palette])
        remarks.append(f"{classes.count} classes are found in the masks: 0 to {classes.count - 1}")
    if encoding != "auto":
        return Decoder(classes, encoding, encoding, encoding), remarks
    plain: Reading = "binary" if binary else "ids"
    palette_reading, colour_reading = (_best(each, classes, ("colours", plain)) for each in (palette, colour))
    return Decoder(classes, plain, palette_reading, colour_reading, wary=not binary), remarks


def _best(seen: Sequence[Seen], classes: Classes, readings: Iterable[Reading]) -> Reading:
    """The reading that explains the most pixels; the first of equals. Colours count only where they were given."""

    def explained(reading: Reading) -> int:
        if reading == "colours" and not classes.stated:
            return -1
        known = np.array(list(meanings(classes, reading)), np.int64)
        codes = ((each.colours if reading == "colours" else _levels(each)) for each in seen)
        return sum(int(each.counts[np.isin(code, known)].sum()) for each, code in zip(seen, codes, strict=True))

    return max(readings, key=explained)


def _holds_0_255(levels: Sequence[Seen]) -> bool:
    """Bits aside: they are 0 and 1 already."""
    codes = {code for each in levels if each.storage != "bits" for code in _levels(each).tolist()}
    return codes == {0, 255}


def _found(seen: Sequence[Seen]) -> Classes:
    files = Counter(code for each in seen for code in _levels(each).tolist() if code != IGNORE)
    values = sorted(files)
    if not values:
        raise InputError("masks: every pixel of every one is 255, which is ignored; draw the classes as 0, 1, 2 …")
    last, gaps = values[-1], len(values) * 2 < values[-1] + 1
    while gaps and files[values[-1]] <= RARE * len(seen) and len(values) > 1:
        values.pop()
        gaps = len(values) * 2 < values[-1] + 1
    if values[0] < 0 or values[-1] >= MOST_CLASSES or gaps:
        example = next(each.path for each in seen if last in _levels(each))
        reason = f"they hold the numbers {_listed(sorted(files))} ({last} in {shown(example)}), not classes 0, 1, 2 …"
        raise InputError(f"masks: {reason}; give a class table, a CSV file with the columns name and value")
    return numbered(values[-1] + 1)


def _levels(seen: Seen) -> np.ndarray:
    """The codes as numbers; a colour that is not grey becomes a number that no class has."""
    if seen.storage != "colour":
        return seen.codes
    return np.where(seen.codes == seen.codes % 256 * GREY, seen.codes % 256, -1 - seen.codes)


def _codes(mask: Mask, reading: Reading) -> np.ndarray:
    if reading == "colours":
        if mask.storage == "palette":
            return _packed(mask.palette)[mask.values]
        return _packed(mask.values) if mask.storage == "colour" else mask.values * np.int64(GREY)
    if mask.storage != "colour":
        return mask.values
    red = mask.values[:, :, 0]
    if (mask.values == red[:, :, None]).all():
        return red
    codes = _packed(mask.values)
    return np.where(codes == codes % 256 * GREY, codes % 256, -1 - codes)


def _packed(colours: np.ndarray) -> np.ndarray:
    """``[..., 3]`` as 0xRRGGBB, int32 ``[...]``."""
    return colours.astype(np.int32) @ np.array([0x10000, 0x100, 1], np.int32)


def _code(colour: tuple[int, ...]) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def _rgb(code: int) -> str:
    return f"{code >> 16},{code >> 8 & 255},{code & 255}"


def _listed(numbers: Iterable[int], most: int = 12) -> str:
    numbers = list(numbers)
    return " ".join(map(str, numbers[:most])) + (f" … ({len(numbers)} in all)" if len(numbers) > most else "")


def _most_common(seen: Sequence[Seen]) -> str:
    total: Counter[int] = Counter()
    for each in seen:
        total.update(dict(zip(each.colours.tolist(), each.counts.tolist(), strict=True)))
    return f"{len(total)} different, most often " + ", ".join(_rgb(code) for code, _ in total.most_common(3))
