"""How a sound came to be, in a file beside it: enough to make it again, and to go on with it.

a.wav has a.wav.json.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from shared.config import from_json, to_json
from shared.errors import InputError
from shared.files import write_file
from shared.training import checkpoint
from wavenet.distributions import Drawing


@dataclass(frozen=True, kw_only=True)
class Note:
    """What ``wavenet generate`` or ``wavenet vocode`` was told."""

    model: str
    weights: str
    """The first digits of the SHA-256 of the weights' file."""
    seed: int
    seconds: float
    """Of new sound, as planned: a clip that was stopped is shorter."""
    temperature: float
    top_k: int | None = None
    top_p: float | None = None
    precision: str
    engine: str
    prompt: str | None = None
    prompt_seconds: float | None = None
    prompt_samples: int = 0
    """With which the file begins."""
    prompt_fingerprint: str | None = None
    """The first digits of the SHA-256 of the prompt's file."""
    speaker: str | None = None
    """Whose voice it is, if the model knows several."""
    input: str | None = None
    """Of ``vocode``: the recording, or the file of frames, that the sound is made of."""
    input_fingerprint: str | None = None
    """The first digits of the SHA-256 of that file."""
    fits: bool = False
    """Whether the sound of a mel spectrogram is fitted to it at its end (``wavenet.mel_fitting``)."""
    as_drawn: str | None = None
    """The first digits of the SHA-256 of the whole file as it was drawn: one that differs is fitted already."""
    waiting: bool = False
    """Nothing is drawn yet: there is no sound, or an older one that is to be written over."""

    @property
    def drawing(self) -> Drawing:
        """How it is drawn."""
        return Drawing(self.temperature, self.top_k, self.top_p)

    @property
    def command(self) -> str:
        """Which command made the sound, and can go on with it."""
        return "vocode" if self.input else "generate"

    def write(self, sound: Path) -> None:
        """Lay the note beside the sound."""
        write_file(beside(sound), json.dumps(to_json(self), indent=2) + "\n")

    @classmethod
    def of(cls, sound: Path) -> Note:
        """Read the note beside a sound; InputError if there is none."""
        path = beside(sound)
        try:
            note = from_json(cls, json.loads(path.read_text(encoding="utf-8")))
            _ = note.drawing  # or ValueError
            return note
        except FileNotFoundError:
            raise InputError(
                f"{sound}: cannot be resumed, there is no {path.name} that says how it was made; "
                f"make it again, or continue it as a new one: wavenet generate RUN --prompt {sound}"
            ) from None
        except (OSError, ValueError, TypeError, InputError) as error:
            raise InputError(f"{path}: not a note of how a sound was made ({error}); make it again") from None


def beside(sound: Path) -> Path:
    """Where the note about a sound lies."""
    return sound.with_name(f"{sound.name}.json")


def weights_of(model: Path) -> str:
    """The first digits of the SHA-256 of a model folder's weights."""
    return fingerprint(model / checkpoint.MODEL)


def fingerprint(path: Path) -> str:
    """The first digits of the SHA-256 of a file."""
    with path.open("rb") as file:
        digest = sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()[:16]
