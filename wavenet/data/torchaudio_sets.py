"""The data sets of torchaudio as tracks: the set is asked which file each item is, the gate reads the files.

An item is interrupted at the moment it opens its sound, so torchcodec is not needed, and sound is checked,
read in windows and resampled as from any folder. Nothing is ever downloaded.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from errno import ENOENT
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from shared.errors import InputError, refusal, shown
from wavenet.audio import RATE, Recording, ratio
from wavenet.data.folder import checked, split
from wavenet.data.tracks import Part, RecordedTrack, Track, Tracks, by_time

SILENT = {"CMUDict"}  # a dictionary: words, no sound
# What some sets must be told: which part (the largest), the rate, and of MUSDB_HQ the mixture, not its stems.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "LibriMix": {"sample_rate": RATE},
    "MUSDB_HQ": {"subset": "train", "sources": ["mixture"]},
    "QUESST14": {"subset": "docs"},
    "Snips": {"subset": "train"},
}
UNPACK = "unpack the data set there (nothing is downloaded), or train on a folder of recordings"


class Stretch(NamedTuple):
    """The sound of one item: a file and which of its frames, at the file's rate; -1 means up to the end."""

    path: Path
    offset: int = 0
    frames: int = -1


@dataclass(frozen=True, kw_only=True)
class TorchaudioSet:
    """A data set of ``torchaudio.datasets`` that lies unpacked on this machine, in its default part.

    An item's sound is the first file that it opens: of a pair of clean and noisy speech, the clean one.

    >>> TorchaudioSet(name="yesno", root="data")
    TorchaudioSet(name='yesno', root='data')
    """

    tagged = True

    name: str
    """The class in ``torchaudio.datasets``, such as YESNO or LJSPEECH, in capitals or not."""
    root: str
    """The folder that torchaudio would be given: for YESNO, the one that holds ``waves_yesno``."""

    def load(self, validation: float, progress: Callable[[int, int], None] | None = None) -> Tracks:
        """Decode every file once to see what can be used; split by file, or a single file by time.

        A file keeps its side of the split when others come or go, and all items of one file share its side.
        Items and files that cannot be used are named in the remarks. ``progress(done, total)`` counts files.
        Raises InputError for a name that torchaudio does not have, for a root where the data are not, for
        data without one usable sound, and for a ``validation`` outside [0, 1).
        """
        root = Path(self.root).expanduser()
        kind = _class_named(self.name)
        stretches, refused = _stretches(kind, root)
        paths = list(dict.fromkeys(stretch.path for stretch in stretches))
        answers = dict(zip(paths, checked(paths, progress=progress), strict=True))
        refused += [answer for answer in answers.values() if isinstance(answer, str)]
        warned = [answer for answer in answers.values() if isinstance(answer, Recording)]
        tracks: dict[Recording, list[Track]] = {}
        for stretch in stretches:
            if isinstance(recording := answers[stretch.path], Recording):
                track = _track(recording, stretch)
                if track.samples > 0:
                    tracks.setdefault(recording, []).append(track)
                else:
                    refused.append(str(refusal(stretch.path, "an item lies beyond its end", UNPACK)))
        if not tracks:
            first = f"the first: {refused[0]}" if refused else UNPACK
            raise refusal(root, f"no usable sound in {kind.__name__}, {len(refused)} left out", first)
        remarks = [f"left out: {line}" for line in refused]
        remarks += [f"{shown(each.path)}: {text}" for each in warned for text in each.warnings]
        train, held = split(list(tracks), validation, root)
        if validation and not held:
            pairs = [by_time(track, validation) for track in tracks[train[0]]]
            return Tracks([before for before, _ in pairs], [after for _, after in pairs], remarks)
        sides = [[track for recording in side for track in tracks[recording]] for side in (train, held)]
        return Tracks(*sides, remarks)


def parse(text: str, root: str | None) -> TorchaudioSet:
    """What ``wavenet train torchaudio:NAME --root DIR`` means; InputError where a half of it is missing.

    >>> parse("torchaudio:YESNO", "data").name
    'YESNO'
    """
    name = text.removeprefix("torchaudio:").strip()
    if not name:
        raise InputError(f"{text}: the name of a data set is missing; give, for example, torchaudio:YESNO")
    if not root:
        raise InputError(f"{text}: where the data lie is missing; add --root DIR")
    return TorchaudioSet(name=name, root=root)


def _class_named(name: str) -> type:
    from torchaudio import datasets

    known = {each.lower(): each for each in datasets.__all__ if each not in SILENT}
    if name.lower() not in known:
        near = difflib.get_close_matches(name.lower(), known, n=1)
        question = f"did you mean {known[near[0]]}? " if near else ""
        there = ", ".join(sorted(known.values(), key=str.lower))
        raise InputError(f"torchaudio has no data set {name!r}; {question}There are {there}")
    return getattr(datasets, known[name.lower()])


def _stretches(kind: type, root: Path) -> tuple[list[Stretch], list[str]]:
    """The sound of each item, each once, in the order of the set; and what is wrong with other items."""
    if not root.is_dir():
        raise refusal(root, "no such folder", f"--root is the folder that holds {kind.__name__}")
    found: dict[Stretch, None] = {}
    refused: list[str] = []
    items = kind.__new__(kind)
    with _intercepted(sys.modules[kind.__module__]):
        try:
            items.__init__(root, **ARGUMENTS.get(kind.__name__, {}))
            count = len(items)
        except Exception as error:  # each set has its own kinds; all mean that the data are not as expected
            raise _missing(kind, root, items, error) from None
        for number in range(count):
            try:
                items[number]
            except _Opened as opened:
                if opened.stretch.path.is_relative_to(root):
                    found[opened.stretch] = None
                    continue
                reason = f"its sound, {shown(opened.stretch.path)}, lies outside of the data set"
            except Exception as error:  # as above: names of files, tables and transcripts that do not fit
                reason = _plain(error)
            else:
                reason = "opens no sound file"
            refused.append(f"item {number} of {kind.__name__}: {reason}; unpack the data set again")
    return list(found), refused


class _Opened(Exception):  # noqa: N818 (no error: it ends an item once its file is known)
    def __init__(self, stretch: Stretch):
        super().__init__(str(stretch.path))
        self.stretch = stretch


@contextmanager
def _intercepted(module: ModuleType) -> Iterator[None]:
    """Within, opening a sound raises ``_Opened``, and a download, which VoxCeleb1 starts unasked, fails."""
    import torchaudio

    def load(uri: Any, frame_offset: int = 0, num_frames: int = -1, **_: Any) -> None:
        raise _Opened(Stretch(Path(os.fspath(uri)), int(frame_offset), int(num_frames)))

    def download(_url: str, target: Any, *_: Any, **__: Any) -> None:
        raise FileNotFoundError(ENOENT, os.strerror(ENOENT), os.fspath(target))

    with ExitStack() as later:
        substitutes = ((torchaudio, "load", load), (module, "download_url_to_file", download))
        for owner, name, substitute in substitutes:
            if hasattr(owner, name):
                later.callback(setattr, owner, name, getattr(owner, name))
                setattr(owner, name, substitute)
        yield


def _missing(kind: type, root: Path, items: Any, error: Exception) -> InputError:
    """Most sets note where they look, as ``_path``, before they find it missing."""
    noted = getattr(items, "_path", None) or getattr(items, "root", root)
    expected = getattr(error, "filename", None) or noted
    if not Path(expected).exists():
        return refusal(root, f"does not hold {kind.__name__}, {shown(Path(expected))} is missing", UNPACK)
    return refusal(root, f"{kind.__name__} cannot be listed ({_plain(error)})", UNPACK)


def _plain(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _track(recording: Recording, stretch: Stretch) -> Track:
    """The stretch at 16 kHz: from the sample nearest its first frame to the one nearest its end."""
    whole = RecordedTrack(recording)
    if stretch.offset <= 0 and stretch.frames < 0:
        return whole
    up, down = ratio(recording.rate)
    begin = min(round(stretch.offset * up / down), whole.samples)
    end = whole.samples if stretch.frames < 0 else round((stretch.offset + stretch.frames) * up / down)
    return Part(whole, begin, min(end, whole.samples) - begin)
