"""A file that cannot be used: alone, in a folder, once training has begun; and thousands that are spoilt at random."""

from __future__ import annotations

import itertools
import os
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from segmentation.data import PictureFolder
from segmentation.data.crops import Crops
from segmentation.data.pairs import in_list
from segmentation.images import read_image, read_mask
from segmentation.palette import read_classes
from segmentation.transforms import Augmentation
from shared.errors import InputError
from tests.reliability import commands
from tests.reliability.manifest import REFUSE, fate_alone, fates_in_folder, rows
from tests.reliability.memory import peak_of
from tests.reliability.mutations import MASKS, PICTURES, SOUNDS, Spoilt, spoilt_files, whole_files
from tests.reliability.promise import Absent, Figure, Promise, Tier
from tests.reliability.trial import trial
from wavenet import audio
from wavenet.conditioning import Frames
from wavenet.data.conditions import labels_of, read_frames
from wavenet.data.excerpts import Excerpts
from wavenet.data.folder import scan
from wavenet.data.tracks import ArrayTrack, RecordedTrack

BATCH = 250  # files in a process
SLOW, MUCH = 5.0, 600.0  # seconds for a file, megabytes for a batch: more is a fault


def proof(tier: Tier) -> Figure:
    """The files broken on purpose, then spoilt ones, then files that go bad behind training's back."""
    parts = [_on_purpose(tier), _spoilt(tier), _in_training(tier)]
    said = "; ".join(part.said for part in parts)
    facts = {name: value for part in parts for name, value in part.facts.items()}
    return Figure(sum(part.held for part in parts), sum(part.of for part in parts), said, facts)


def _on_purpose(tier: Tier) -> Figure:
    try:
        given = rows()
    except Absent as missing:
        return Figure(0, 0, str(missing))

    folder = tier.folder("commands")

    def look() -> dict[str, int]:
        in_folder = fates_in_folder()
        return {
            "alone": sum(fate_alone(row) == row.alone for row in given),
            "in_folder": sum(in_folder.get(row.name) == row.in_folder for row in given),
            "commands": sum(_command(row.kind, row.path, folder).is_one_line_naming(row.name) for row in refused),
        }

    refused = [row for row in given if row.alone == REFUSE]
    held = trial(look).answer or {"alone": 0, "in_folder": 0, "commands": 0}
    said = f"{held['alone']} of {len(given)} files as they should alone, {held['in_folder']} in their folder, "
    said += f"{held['commands']} of {len(refused)} commands given a useless one answered in one line"
    return Figure(sum(held.values()), 2 * len(given) + len(refused), said, held)


def _command(kind: str, path: Path, scratch: Path) -> commands.Said:
    """What a user would call with this file alone."""
    if kind == "audio":
        return commands.run("wavenet", "prepare", path)
    image, mask = (path, path) if kind == "image" else (path.parents[1] / "images" / f"{path.stem}.jpg", path)
    table, classes = scratch / "pairs.txt", scratch / "classes.csv"
    table.write_text(f'"{image}","{mask}"\n')
    classes.write_text("a\nb\nc\nd\n")
    return commands.run("segmentation", "check", table, "--classes", classes)


def _spoilt(tier: Tier) -> Figure:
    count = tier.count(480, 10_000)
    held, slowest, most, faults = 0, 0.0, 0.0, []
    every = spoilt_files(count, tier.seed)
    while batch := list(itertools.islice(every, BATCH)):
        folder = tier.folder(f"spoilt-{batch[0].name}")
        outcome = trial(lambda batch=batch, folder=folder: peak_of(lambda: _opened(batch, folder)), patience=120)
        if outcome.answer is None:  # one of them ended the process
            faults.append(f"{batch[0].name} to {batch[-1].name}: signal {outcome.signal} {outcome.fault[-300:]}")
            continue
        answers, megabytes = outcome.answer
        held += sum(answer == "well" for answer, _ in answers) if megabytes < MUCH else 0
        faults += [answer for answer, _ in answers if answer != "well"]
        slowest, most = max(slowest, *(seconds for _, seconds in answers)), max(most, megabytes)
    said = f"{held:,} of {count:,} spoilt files read, or refused in one line, in at most {slowest:.2f} s, {most:.0f} MB"
    return Figure(held, count, said, {"faults": faults[:20]})


def _opened(batch: list[Spoilt], folder: Path) -> list[tuple[str, float]]:
    _hush()
    return [_timed(spoilt, folder / spoilt.name) for spoilt in batch]


def _timed(spoilt: Spoilt, path: Path) -> tuple[str, float]:
    path.write_bytes(spoilt.content)
    began, answers = time.perf_counter(), []
    for open_it in _ways(spoilt.kind):
        try:
            open_it(path)
        except InputError as error:
            named = str(path) in str(error) and str(error).isprintable()
            answers += [] if named else [f"{spoilt.name}: said {error!r}"]
        except Exception as error:
            answers.append(f"{spoilt.name}: {type(error).__name__}: {error}")
    seconds = time.perf_counter() - began
    path.unlink()
    answers += [f"{spoilt.name}: {seconds:.1f} s"] if seconds > SLOW else []
    return "; ".join(answers) or "well", seconds


def _ways(kind: str) -> list[Callable[[Path], Any]]:
    """What opens files of a kind."""
    if kind in SOUNDS:
        return [audio.read]
    if kind in PICTURES or kind in MASKS:
        return [read_image, read_mask]
    return {
        "npy": [lambda path: read_frames(path, Frames(channels=4, hop=100))],
        "speakers.csv": [lambda path: labels_of([ArrayTrack(f"{at}.wav", np.zeros(9)) for at in range(20)], str(path))],
        "pairs.txt": [in_list],
        "classes.csv": [read_classes],
    }[kind]


def _hush() -> None:
    """libmpg123 and libtiff mutter on stderr, past Python."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _in_training(tier: Tier) -> Figure:
    """A file that was good when training began and is not any more is named by the thread that meets it."""
    held, changes = 0, list(_gone_bad(tier))
    for path, fetch in changes:
        try:
            fetch()
        except InputError as error:
            held += str(path) in str(error) and str(error).isprintable()
    return Figure(held, len(changes), f"{held} of {len(changes)} that went bad during training named")


def _gone_bad(tier: Tier) -> Iterator[tuple[Path, Callable[[], Any]]]:
    whole, folder = whole_files(), tier.folder("good once")
    for kind in ("wav", "flac"):
        path = folder / f"a.{kind}"
        path.write_bytes(whole[kind])
        excerpts = Excerpts([RecordedTrack(scan(path).recordings[0])], 100, 4_000, 1, seed=0)
        path.write_bytes(whole[kind][: len(whole[kind]) // 2])
        yield path, lambda excerpts=excerpts: excerpts.batch(0)
    for kind, side in (("png", "images"), ("jpg", "images"), ("mask.png", "masks")):
        root = folder / kind
        image, mask = root / "images" / f"a.{'png' if side == 'masks' else kind}", root / "masks" / "a.png"
        for path, content in ((image, whole[image.suffix[1:]]), (mask, whole["mask.png"])):
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
        samples = PictureFolder(root=str(root)).load(0).train
        path = image if side == "images" else mask
        path.write_bytes(whole[kind][: len(whole[kind]) // 2])
        crops = Crops(samples, Augmentation(crop=(16, 16)), 1, seed=0)
        yield path, lambda crops=crops: next(crops.ahead(workers=2))


class _Plain(Dataset):
    """What most training code does."""

    def __init__(self, paths: list[Path]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, at: int) -> np.ndarray:
        path = self.paths[at]
        if path.suffix == ".npy":
            return np.load(path)
        if path.suffix in (".wav", ".flac", ".ogg"):
            return soundfile.read(path, dtype="float32")[0]
        return np.array(Image.open(path).convert("RGB"))


def control(tier: Tier) -> Figure:
    """The same spoilt files, of the best-known kinds, through a plain dataset and a worker of torch's loader."""
    kinds, count, folder = ("wav", "flac", "ogg", "png", "jpg", "npy"), tier.count(12, 300), tier.folder("plain")
    chosen = (each for each in spoilt_files(10_000, tier.seed) if each.kind in kinds)
    paths = []
    for spoilt in itertools.islice(chosen, count):
        paths.append(folder / spoilt.name)
        paths[-1].write_bytes(spoilt.content)

    def load() -> list[tuple[str, str]]:
        batches, faults = iter(DataLoader(_Plain(paths), num_workers=1, batch_size=None)), []
        for path in paths:
            try:
                next(batches)
            except Exception:
                faults.append((str(path), traceback.format_exc()))
        next(batches, None)  # or the worker would go on waiting
        return faults

    faults = trial(load).answer
    named = sum(path in fault for path, fault in faults)
    lines = max(len(fault.splitlines()) for _, fault in faults)
    return Figure(
        count - len(faults),
        count,
        f"{len(faults)} of {count} ended in up to {lines} lines of traceback, {named} of them with the file's name",
    )


PROMISE = Promise(
    number=8,
    guarantee="A file that cannot be used never stops you blindly: alone, in a folder or in the midst of training, one "
    "line names it and says why and what to do; no traceback, no hang, no gigabytes.",
    naive="soundfile, Pillow and numpy in a worker of torch's `DataLoader`",
    proof=proof,
    control=control,
)
