"""Copies kept as WAV files for listening: each recording's beside it, named after who made them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from shared.errors import refusal
from shared.folders import fitting, made
from wavenet.copies.drawn import Copies
from wavenet.wav import WavWriter


def targets(
    folder: Path, files: Sequence[str], makers: Sequence[str], force: bool, inputs: Sequence[str] = ()
) -> list[dict[str, Path]]:
    """Where the sounds of each file go, by maker; the folder is made.

    InputError for what is in the way: with ``force`` only where it is one of the inputs.
    """
    made(folder)
    stems = [fitting(Path(file).stem) for file in files]
    if len({stem.casefold() for stem in stems}) < len(stems):  # all get a number, or one could take another's name
        stems = [f"{at}-{stem}" for at, stem in enumerate(stems, 1)]
    found = [{maker: folder / f"{stem}-{_plain(maker)}.wav" for maker in makers} for stem in stems]
    read = {os.path.realpath(path) for path in inputs}
    for path in (path for each in found for path in each.values()):
        if os.path.realpath(path) in read:
            raise refusal(path, "is one of the recordings", "choose another folder")
        if path.exists() and not force:
            raise refusal(path, "exists already", "choose another folder or pass --force")
    return found


def keep(copies: Copies, places: dict[str, Path]) -> None:
    """Write the recording and its copies."""
    for maker, path in places.items():
        with WavWriter(path, overwrite=True) as file:
            file.write(copies.sounds[maker])


def _plain(maker: str) -> str:
    return maker.lower().replace(",", "").replace(" ", "-")
