"""What each track is told: its label, by file name, folder or table; its frames, from its own sound or from files."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from shared.errors import InputError, refusal, shown
from shared.tables import rows_of
from wavenet.conditioning import Condition, Frames, window
from wavenet.data.tracks import Part, Track
from wavenet.limits import FEATURES
from wavenet.mel import Mel
from wavenet.model import WaveNetConfig

FIELDS = re.compile(r"[_\-. ]+")
AT_ONCE = 2**16  # frames looked at
SLACK = 4  # frames that a file may hold more or fewer than its recording makes: tools differ at the ends


class Conditions:
    """What the tracks of a data set are told, as far as a model takes it.

    ``labels`` maps a file's path to its label; ``frames`` is a folder with ``NAME.npy`` for each recording
    ``NAME.*``: float ``[channels, f]``, frame ``j`` centred at sample ``j · hop``.
    """

    def __init__(self, config: WaveNetConfig, labels: Mapping[str, str] | None = None, frames: str = ""):
        self.config, self.labels, self.folder = config, labels or {}, frames

    def check(self, tracks: Sequence[Track]) -> None:
        """InputError where a track lacks what the model wants to be told; to be asked before hours of training."""
        told, seen = self.config.frames, {}
        for track in {whole(each)[0].name: whole(each)[0] for each in tracks}.values():
            if self.config.labels:
                self._label(track.name)
            if told is None or isinstance(told, Mel):
                continue
            path = self._path(track)
            if seen.setdefault(path, track.name) != track.name:
                raise refusal(path, f"would serve two recordings, {shown(track.name)} too", "give them different names")
            count, expected = read_frames(path, told).shape[1], 1 + track.samples // told.hop
            if abs(count - expected) > SLACK:
                reason = f"holds {count} frames where {track.samples:,} samples at a hop of {told.hop} make {expected}"
                raise refusal(path, reason, "compute it with this hop at 16 kHz, or set model.frames.hop")

    def of(self, places: Sequence[tuple[Track, int]], context: int, targets: int) -> Condition:
        """For excerpts whose targets begin at these places of their tracks."""
        names, told = self.config.labels, self.config.frames
        label = names and torch.tensor([self._label(whole(track)[0].name) for track, _ in places])
        if told is None:
            return Condition(label)
        frames, begins = [], []
        for track, start in places:
            first, last = window(told, start - context, context + targets)
            frames.append(self._frames(track, first, last))
            begins.append(first * told.hop - start)
        return Condition(label, torch.stack(frames), tuple(begins))

    def _path(self, track: Track) -> Path:
        return Path(self.folder) / f"{Path(track.name).stem}.npy"

    def _label(self, file: str) -> int:
        try:
            return self.config.labels.index(self.labels[file])
        except ValueError as error:
            raise InputError(f"{shown(file)}: its label {error}; leave it out, or train anew with it") from None

    def _frames(self, track: Track, first: int, last: int) -> torch.Tensor:
        told = self.config.frames
        if isinstance(told, Mel):
            return told.of_track(track, first, last)
        found, begin = whole(track)
        if begin % told.hop:
            raise InputError(f"{found.name}: is cut within a frame for validation; give more than one recording")
        stored = read_frames(self._path(found), told, whole=False)
        places = np.clip(np.arange(first, last) + begin // told.hop, 0, stored.shape[1] - 1)
        return torch.from_numpy(np.ascontiguousarray(stored[:, places], dtype=np.float32))


def whole(track: Track) -> tuple[Track, int]:
    """The track that this is a part of, and where in it it begins."""
    begin = 0
    while isinstance(track, Part):
        begin, track = begin + track.begin, track.whole
    return track, begin


def mapped(path: Path) -> np.ndarray:
    """The array of a .npy file, mapped into memory; InputError for what is none."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # before opening: a named pipe would wait for ever
            raise refusal(path, "is a folder" if path.is_dir() else "is no regular file", "give a .npy file")
        FEATURES.hold(path, status.st_size, "has {} bytes", "cut it into pieces")
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise refusal(path, "no such file", "frames lie in NAME.npy for each recording NAME") from None
    except InputError:
        raise
    except Exception as error:  # numpy parses a header as Python does, and fails in as many ways
        text = " ".join(str(error).split())[:80]
        raise refusal(path, f"is no .npy file of numbers ({text})", "save an array") from None
    if not isinstance(stored, np.ndarray):
        stored.close()
        raise refusal(path, "is an archive of arrays", "save one array, by numpy.save")
    return stored


def read_frames(path: Path, frames: Frames, *, whole: bool = True) -> np.ndarray:
    """Frames from a file, ``[channels, f]``, mapped into memory; InputError for what is none.

    Only with ``whole`` is every number looked at.
    """
    stored = mapped(path)
    if stored.ndim != 2 or stored.shape[0] != frames.channels or not stored.shape[1] or stored.dtype.kind != "f":
        shape = " × ".join(map(str, stored.shape)) or "no axes"
        wanted = f"floats, {frames.channels} channels × frames"
        raise refusal(path, f"holds {stored.dtype} of {shape}", f"{wanted} are needed; transpose or convert it")
    if whole and not all(np.isfinite(stored[:, at : at + AT_ONCE]).all() for at in range(0, stored.shape[1], AT_ONCE)):
        raise refusal(path, "holds numbers that are NaN or infinite", "compute it again")
    return stored


def labels_of(tracks: Sequence[Track], by: str) -> dict[str, str]:
    """The label of each track's file: ``by`` is ``name``, ``name:N``, ``folder``, or a table of files and labels.

    ``name`` takes the part of the file names, between ``_ - .`` and blanks, that says who: not a number, and of the
    parts that differ the one with the fewest values. ``name:N`` takes the N-th, counted from 1. A table is a CSV or
    TSV file whose first column is a file's name or stem, or the end of its path where names occur twice, and whose
    second is its label. InputError where that fails.
    """
    files = sorted({whole(track)[0].name for track in tracks})
    names_decide = by in ("folder", "name") or by.startswith("name:")
    if by == "folder":
        found = {file: Path(file).parent.name for file in files}
    elif names_decide:
        found = _from_names(files, by.partition(":")[2])
    else:
        found = _from_table(files, Path(by))
    for file, label in found.items():
        if not label.isprintable():  # labels are said in messages and tables
            reason = f"the label {shown(label)} of {shown(Path(file).name)} holds control characters"
            raise refusal(Path(file if names_decide else by), reason, "change it")
    return found


def _from_names(files: Sequence[str], number: str) -> dict[str, str]:
    parts = {file: FIELDS.split(Path(file).stem) for file in files}
    counts = {len(each) for each in parts.values()}
    if number:
        if not number.isdecimal() or not 1 <= int(number) <= min(counts):
            raise InputError(
                f"--speakers name:{number}: names have {min(counts)} parts or more; give 1 to {min(counts)}"
            )
        return {file: each[int(number) - 1] for file, each in parts.items()}
    candidates = []
    for at in range(min(counts)):
        values = {each[at] for each in parts.values()}
        if len(values) > 1 and not any(value.isdecimal() for value in values) and len(values) <= len(files) / 2:
            candidates.append((len(values), at))
    if not candidates:
        example = shown(Path(files[0]).name)
        raise InputError(
            f"--speakers name: no part of names such as {example} says who; give name:N, folder or a table"
        )
    at = min(candidates)[1]
    return {file: each[at] for file, each in parts.items()}


def _from_table(files: Sequence[str], path: Path) -> dict[str, str]:
    if not path.exists():
        raise refusal(path, "no such file", "--speakers takes name, name:N, folder or a table of files")
    table: dict[str, str] = {}
    for name, label, *_ in (row for row in rows_of(path, "give a CSV or TSV file in UTF-8", "\t,") if len(row) >= 2):
        key = name.strip().replace("\\", "/").removeprefix("./")
        if table.setdefault(key, label.strip()) != label.strip():
            raise refusal(
                path, f"gives {shown(key)} two labels", "name files by as much of their path as tells them apart"
            )
    found, lacking = {}, []
    for file in files:
        label = next((table[key] for key in _spellings(Path(file)) if table.get(key)), None)
        if label:
            found[file] = label
        else:
            lacking.append(Path(file).name)
    if lacking:
        raise refusal(path, f"lacks {len(lacking)} recordings, such as {shown(lacking[0])}", "add a line for each")
    return found


def _spellings(file: Path) -> Iterator[str]:
    """How a table may name a file, the longest first: a path's end, with or without the name's own."""
    for at in range(len(file.parts)):
        ending = Path(*file.parts[at:])
        yield ending.as_posix()
        yield ending.with_suffix("").as_posix()
