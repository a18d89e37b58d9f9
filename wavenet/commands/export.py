"""``wavenet export``: a trained model as a folder for others, with a card that says what it is."""

from __future__ import annotations

import shutil
from argparse import Namespace
from pathlib import Path
from shlex import quote

from shared.errors import InputError, refusal
from shared.training.checkpoint import CONFIG, MODEL, load_config
from wavenet.card import CARD, Training, card
from wavenet.model import WaveNet


def run(arguments: Namespace) -> int:
    """Write the folder: a new one in one step, an exported one with ``--force`` file by file."""
    source, folder = Path(arguments.model), Path(arguments.out)
    model = WaveNet.from_pretrained(source)
    text = card(model, folder.absolute().name or "model", Training.of(source), arguments.license)
    if folder.exists():
        _check(folder, source, arguments.force)
        model.save_pretrained(folder, text)
    else:
        _make(folder, model, text)
    size = (folder / MODEL).stat().st_size / 1e6
    print(f"{folder}: {CONFIG}, {MODEL} ({size:.1f} MB), {CARD}")
    print(f"next: hf upload USER/{quote(folder.absolute().name)} {quote(str(folder))}", end="")
    print("" if arguments.license else "; the card names no licence: --license mit, say")
    return 0


def _check(folder: Path, source: Path, force: bool) -> None:
    if not folder.is_dir():
        raise refusal(folder, "is a file", "-o takes a folder")
    if folder.resolve() == source.resolve():
        raise refusal(folder, "is the model itself", "choose another folder")
    if any(folder.iterdir()):
        if not force:
            raise refusal(folder, "is not empty", "choose another name, or renew an exported model with --force")
        load_config(folder)  # only a model is written over


def _make(folder: Path, model: WaveNet, text: str) -> None:
    """All or nothing: the folder has its name only when it is whole."""
    aside = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(aside, ignore_errors=True)  # what a killed export left
        model.save_pretrained(aside, text)
        aside.rename(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); choose another place") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
