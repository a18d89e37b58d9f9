"""The files that are broken on purpose, what is to become of each, and what did."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from segmentation.data import PictureFolder
from segmentation.data.masks import Decoder
from segmentation.data.pairs import Pair
from segmentation.data.samples import scan as scan_pairs
from segmentation.images import read_image
from segmentation.palette import numbered
from shared.errors import InputError
from tests.reliability.promise import bad_files
from wavenet import audio
from wavenet.data.folder import scan

LOAD, WARN, REFUSE = "load", "load with warning", "clear error"
USE, USE_WARN, SKIP, PASS = "use", "use with warning", "skip with warning", "pass over in silence"
CLASSES = 4  # of the masks
# where the toolkit does another thing on purpose: alone, in the folder
OTHERWISE = {
    "audio/ima_adpcm.wav": (REFUSE, SKIP),  # its decoder in libsndfile 1.2.2 has an open memory bug
    "audio/stereo_antiphase.wav": (WARN, USE_WARN),  # its channels are averaged, to silence; the note asks to say so
    "audio/._good_reference.wav": (REFUSE, PASS),  # hidden files may be passed over, says the note
    "images/._good_reference.jpg": (REFUSE, PASS),
}


@dataclass(frozen=True)
class Row:
    """A file, and what is to become of it."""

    name: str
    kind: str
    alone: str
    in_folder: str
    seen: str
    """What soundfile or Pillow do."""

    @property
    def path(self) -> Path:
        """Where it lies."""
        return bad_files() / self.name


@lru_cache
def rows() -> tuple[Row, ...]:
    """All of them."""
    with (bad_files() / "manifest.csv").open(encoding="utf-8") as file:
        found = []
        for row in csv.DictReader(file):
            alone, in_folder = OTHERWISE.get(row["file"], (row["alone"], row["in_folder"]))
            in_folder = SKIP if in_folder == REFUSE else in_folder  # a folder of many is never refused for one
            found.append(Row(row["file"], row["kind"], alone, in_folder, row["seen"]))
        return tuple(found)


def fate_alone(row: Row) -> str:
    """What becomes of a file that is given by itself. A refusal must be one line that names it."""
    try:
        remarks = ALONE[row.kind](row.path)
    except InputError as error:
        text = str(error)
        return REFUSE if text.isprintable() and f"{row.path}: " in text and "; " in text else f"refused by: {text}"
    return WARN if remarks else LOAD


def fates_in_folder() -> dict[str, str]:
    """What becomes of each where its whole folder is given."""
    sounds, pictures = scan(bad_files() / "audio"), PictureFolder(root=str(bad_files())).load(0)
    used = [recording.path for recording in sounds.recordings]
    used += [path for sample in pictures.train for path in (sample.pair.image, sample.pair.mask)]
    said, lines = [*sounds.warnings, *pictures.remarks], [*sounds.refused, *pictures.refused]
    fates = {}
    for row in rows():
        warned = any(line.startswith(f"{row.path}: ") for line in said)
        named = any(line.startswith(f"{row.path}: ") or f" and {row.path.name} have" in line for line in lines)
        fate = (USE_WARN if warned else USE) if row.path in used else SKIP if named else PASS
        fates[row.name] = fate if not (named and row.path in used) else "used and refused"
    return fates if all(line.isprintable() for line in said + lines) else {}


def _sound(path: Path) -> tuple[str, ...]:
    recording = audio.check(path)
    assert len(audio.read(recording)) == recording.samples
    return recording.warnings


def _picture(path: Path) -> tuple[str, ...]:
    return read_image(path).remarks


def _mask(path: Path) -> tuple[str, ...]:
    picture = path.parents[1] / "images" / f"{path.stem}.jpg"
    if not picture.exists():
        Decoder(numbered(CLASSES)).read(path)
        return ()
    return tuple(scan_pairs([Pair(path.stem, picture, path)], numbered(CLASSES)).remarks)


ALONE: dict[str, Callable[[Path], tuple[str, ...]]] = {"audio": _sound, "image": _picture, "mask": _mask}
