"""Recordings for tests: melodies of a plucked string, each another one."""

import numpy as np

from wavenet import wav
from wavenet.data.plucks import melody


def write_melodies(folder, names, *seconds):
    """WAV files of these names; they last as long as each other, or so many seconds each."""
    lengths = seconds * len(names) if len(seconds) == 1 else seconds
    for at, (name, length) in enumerate(zip(names, lengths, strict=True)):
        with wav.WavWriter(folder / f"{name}.wav") as file:
            file.write(melody(length, np.random.default_rng(at)))
    return folder
