"""Every operation of a save refused, in each way in which disks do; and all kinds of results, with no room for them."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segmentation.cli import main as segmentation
from segmentation.model import ModelConfig, SegmentationModel
from segmentation.networks import DeepLabV3Plus
from segmentation.palette import numbered, write_png
from shared.errors import InputError
from shared.files import FULL
from shared.training import checkpoint
from tests.reliability import small_run
from tests.reliability.disks import Failing, on
from tests.reliability.promise import Figure, Promise, Tier
from tests.reliability.trial import trial
from wavenet.cli import main as wavenet
from wavenet.model import WaveNet, WaveNetConfig

SAID = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EXDEV)
FIRST, LAST = 2, 4  # steps: of the good checkpoint, and of what is to be saved on the bad disk
ROOM = 5_000  # bytes that a file may have: enough for the model and the diary, not for what a resume needs


class InPlace(Failing):
    """Writes onto the files themselves, as torch.save does."""

    def create(self, path: Path) -> Any:
        """The file itself, emptied."""
        self._next("create")
        return path.with_name(path.name[1:].rsplit(".", 2)[0]).open("wb")

    def replace(self, source: Path, target: Path) -> None:
        """It is there already."""

    def link(self, path: Path, second: Path) -> None:
        """There is no second name."""


def proof(tier: Tier) -> Figure:
    """The product's saving, and its commands."""
    held, of = _injected(tier, Failing)
    whole = trial(lambda: _saved_without_room(tier.folder("limited")))
    commands = _commands(tier)
    said = (
        f"{held} of {of} faults and {sum(commands)} of {len(commands)} commands without room: the last checkpoint "
        "whole, nothing left beside it, one line; the run then ends as if nothing had been"
    )
    return Figure(held + sum(commands) + (whole.answer is True), of + len(commands) + 1, said)


def control(tier: Tier) -> Figure:
    """Written in place."""
    held, of = _injected(tier, InPlace)
    return Figure(held, of, f"{of - held} of {of} faults cost the checkpoint or could not be resumed from")


def _injected(tier: Tier, kind: type[Failing]) -> tuple[int, int]:
    """How many faults went as promised: each operation of a resumed run fails once in each way."""
    digests: dict[int, str] = {}
    small_run.train(tier.scratch / "whole", LAST, digests.__setitem__)
    held = of = 0
    for number in SAID[: tier.count(1, len(SAID))]:
        for at in range(1, 1000):
            folder = tier.scratch / f"{number}-{at}"
            small_run.train(folder, FIRST)
            disk = kind(at, number)
            said = ""
            try:
                with on(disk):
                    small_run.train(folder, LAST)
            except InputError as error:
                said = str(error)
            if not disk.failed:
                break
            of += 1
            held += _told(said, folder, number) and _intact(folder, digests)
    return held, of


def _told(said: str, folder: Path, number: int) -> bool:
    full = number not in FULL or " MB free" in said
    return said.startswith(str(folder)) and os.strerror(number) in said and full and "\n" not in said


def _intact(folder: Path, digests: dict[int, str]) -> bool:
    """No remains, a whole checkpoint that is not older than the good one, and a run that goes on from it."""
    try:
        state, step = small_run.State.loaded(folder)
        whole = checkpoint.load_config(folder) == small_run.CONFIG and step >= FIRST
        whole = whole and state.digest() == digests[step] and not list(folder.glob(".*"))
        return whole and (step == LAST or small_run.train(folder, LAST) == digests[LAST])
    except (InputError, OSError):
        return False


def _saved_without_room(folder: Path) -> bool:
    digests: dict[int, str] = {}
    small_run.train(folder / "whole", LAST, digests.__setitem__)
    small_run.train(folder / "run", FIRST)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    try:
        small_run.train(folder / "run", LAST)
    except InputError as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        return _told(str(error), folder / "run", errno.EFBIG) and _intact(folder / "run", digests)
    return False


def _commands(tier: Tier) -> list[bool]:
    """Results of both crafts that do not fit: exit code 1, one line that names the file, and no half of it."""
    folder = tier.folder("commands")
    torch.manual_seed(0)
    WaveNet(WaveNetConfig(dilations=(1, 2), residual_channels=4, gate_channels=4, skip_channels=4)).save_pretrained(
        folder / "voice"
    )
    network = DeepLabV3Plus(depth=18, width=4, channels=4)
    SegmentationModel(ModelConfig(network=network, classes=numbered(3))).save_pretrained(folder / "masks")
    write_png(folder / "picture.png", np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8))
    voice, masks, picture, out = (str(folder / name) for name in ("voice", "masks", "picture.png", "out"))
    asked: list[tuple[Callable[[list[str]], int], list[str]]] = [
        (wavenet, ["generate", voice, "--seconds", "0.1", "--engine", "cached", "-o", f"{out}.wav"]),
        (segmentation, ["predict", masks, picture, "-o", f"{out}.png"]),
    ]
    if tier.name == "full":
        asked += [
            (wavenet, ["export", voice, "-o", out]),
            (segmentation, ["predict", masks, picture, "-o", f"{out}.png", "--probabilities"]),
            (wavenet, ["report", voice, "-o", f"{out}.html", "--clips", "0"]),
            (segmentation, ["report", masks, "-o", f"{out}.html"]),
        ]
    return [_refused(main, [*argv, "-q"], folder) for main, argv in asked]


def _refused(main: Callable[[list[str]], int], argv: list[str], folder: Path) -> bool:
    said = folder.parent / "said.txt"

    def without_room() -> int:
        with said.open("w") as file, contextlib.redirect_stderr(file):
            os.dup2(file.fileno(), 2)
            resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))
            return main(argv)

    there = set(folder.rglob("*"))
    code, line = trial(without_room).answer, said.read_text()
    left = set(folder.rglob("*")) - there
    told = line.count("\n") == 1 and str(folder) in line and os.strerror(errno.EFBIG) in line
    return code == 1 and told and all(map(_whole_sound, left))


def _whole_sound(path: Path) -> bool:
    """A sound that plays as far as it goes, or the note with which it goes on."""
    if path.suffix == ".wav":
        with wave.open(str(path)) as sound:
            return path.stat().st_size >= 44 + 2 * sound.getnframes()
    return path.suffixes == [".wav", ".json"]


PROMISE = Promise(
    number=3,
    guarantee="A full disk or an I/O error never harms the last good checkpoint, and one line names the file, the "
    "reason and the space that is left. With room again, the run goes on.",
    naive="writing onto the files themselves, as torch.save does",
    proof=proof,
    control=control,
)
