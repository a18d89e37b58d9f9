"""``wavenet prepare -o``: a 16 kHz mono copy of a folder, same tree, never over a source and never half a file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from shared.errors import InputError, refusal, shown
from shared.training.progress import ProgressLine
from wavenet import audio
from wavenet.data.folder import Scan
from wavenet.data.levels import pieces
from wavenet.data.tracks import Track
from wavenet.wav import WavWriter

PIECE = 60 * audio.RATE  # samples read and written at a time


def write_copies(found: Scan, tracks: Sequence[Track], out: Path, *, overwrite: bool, line: ProgressLine) -> None:
    """Write every recording of a scan below ``out``; all names are checked before the first is written.

    ``tracks`` are their sounds, in the same order: the recordings themselves, or what was made of them.

    Each copy grows under a hidden name and is renamed when it is whole, so Ctrl-C leaves no truncated one. Raises
    InputError for an ``out`` inside the data, for a copy that would replace a recording, which links make possible, and
    for one that exists, unless ``overwrite``.
    """
    if out.resolve().is_relative_to(found.root.resolve()):
        raise InputError(f"-o {out}: lies inside the data, whose files would be overwritten; choose a place outside")
    targets, read = _targets(found, out), {os.path.realpath(each.path) for each in found.recordings}
    for target in targets:
        if os.path.realpath(target) in read:
            raise refusal(target, "is one of the recordings", "choose another place")
        if target.exists() and not overwrite:
            raise InputError(f"{target}: exists already; choose another place or pass --force")
    for done, (track, target) in enumerate(zip(tracks, targets, strict=True)):
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name[:40]}.part")  # a longer name may be too long with a part more
        file = WavWriter(aside, overwrite=True)  # somebody else's stays theirs
        try:
            with file:
                for piece in pieces(track, PIECE):
                    file.write(piece)
            os.replace(aside, target)
        except BaseException:
            aside.unlink(missing_ok=True)
            line.say(f"stopped: {done} of {len(targets)} copies are written, each whole")
            raise
        line.update((done + 1) / len(targets), shown(target.name))


def _targets(found: Scan, out: Path) -> list[Path]:
    """A name for each recording; a.flac beside a.mp3 become a-flac.wav and a-mp3.wav."""
    plain = [out / each.path.relative_to(found.root).with_suffix(".wav") for each in found.recordings]
    count = Counter(plain)
    full = [
        target if count[target] == 1 else target.with_name(f"{target.stem}-{each.path.suffix[1:].lower()}.wav")
        for target, each in zip(plain, found.recordings, strict=True)
    ]
    twice = [target for target, times in Counter(full).items() if times > 1]
    if twice:
        raise InputError(f"{twice[0]}: two recordings would get this name; rename one of them")
    return full
