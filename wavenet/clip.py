"""A sound in memory that saves itself, plays itself in a notebook, and is an array when one is wanted."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from wavenet import wav
from wavenet.audio import RATE


@dataclass(frozen=True, eq=False)
class Clip:
    """``samples``: float32 ``[t]`` in [-1, 1] at ``rate`` Hz, which is always 16,000.

    >>> clip = Clip(np.zeros(8000, np.float32))
    >>> clip.seconds
    0.5
    """

    samples: np.ndarray
    rate: ClassVar[int] = RATE

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.samples) / self.rate

    def save(self, path: Path | str, *, overwrite: bool = False) -> Path:
        """Write a 16-bit WAV; InputError if the file exists, unless ``overwrite``."""
        with wav.WavWriter(path, overwrite=overwrite) as file:
            file.write(self.samples)
        return Path(path)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.samples, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.samples)

    def _repr_html_(self) -> str:
        data = base64.b64encode(wav.to_bytes(self.samples)).decode()
        return f'<audio controls src="data:audio/wav;base64,{data}"></audio> {self.seconds:.2f} s'
