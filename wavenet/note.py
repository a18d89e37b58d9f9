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


@dataclass(frozen=True, kw_only=True)
class Note:
    """What ``wavenet generate`` was told."""

    model: str
    weights: str
    """The first digits of the SHA-256 of the weights' file."""
    seed: int
    seconds: float
    """Of new sound, as planned: a clip that was stopped is shorter."""
    temperature: float
    precision: str
    engine: str
    prompt: str | None
    prompt_seconds: float | None
    prompt_samples: int
    """With which the file begins."""
    speaker: str | None = None
    """Whose voice it is, if the model knows several."""

    def write(self, sound: Path) -> None:
        """Lay the note beside the sound."""
        write_file(beside(sound), json.dumps(to_json(self), indent=2) + "\n")

    @classmethod
    def of(cls, sound: Path) -> Note:
        """Read the note beside a sound; InputError if there is none."""
        path = beside(sound)
        try:
            return from_json(cls, json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise InputError(
                f"{sound}: cannot be resumed, there is no {path.name} that says how it was made; "
                f"generate a new one with --prompt {sound}"
            ) from None
        except (OSError, ValueError, TypeError, InputError) as error:
            raise InputError(f"{path}: not a note of `wavenet generate` ({error}); generate again") from None


def beside(sound: Path) -> Path:
    """Where the note about a sound lies."""
    return sound.with_name(f"{sound.name}.json")


def weights_of(model: Path) -> str:
    """The first digits of the SHA-256 of a model folder's weights."""
    with (model / checkpoint.MODEL).open("rb") as file:
        digest = sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()[:16]
