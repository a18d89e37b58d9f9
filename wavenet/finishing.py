"""The end of a vocoded file: fitted to its mel spectrogram in one step, and once, however often it is stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from shared.files import write_file
from wavenet import wav
from wavenet.mel import Mel
from wavenet.mel_fitting import fitted
from wavenet.note import Note, fingerprint


def is_finished(path: Path, note: Note) -> bool:
    """Whether nothing is left to be done with a file that is drawn to its end."""
    return not note.fits or (note.as_drawn is not None and fingerprint(path) != note.as_drawn)


def finish(path: Path, note: Note, frames: Tensor, mel: Mel) -> None:
    """Put the fitted sound in place of the drawn one, of a file that is not finished.

    First the note remembers the file as it was drawn, so that whoever comes later can tell the one from the other.
    ``frames [channels, f]`` are what the model was told.
    """
    file, wave = wav.reopened(path)
    file.close()
    replace(note, as_drawn=fingerprint(path), waiting=False).write(path)
    write_file(path, wav.to_bytes(fitted(torch.from_numpy(wave), frames, mel).numpy()))
