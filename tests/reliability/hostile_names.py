"""Names that lead elsewhere, or garble a terminal: as files in a folder, in lists, and what is named after them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segmentation.data import PairList, VOCLayout
from segmentation.frames import MASK, frames, targets
from segmentation.model import ModelConfig, SegmentationModel
from segmentation.networks import PRESETS
from segmentation.palette import numbered
from shared.errors import InputError
from tests.reliability import commands
from tests.reliability.mutations import whole_files
from tests.reliability.names import contents, hostile_names, made_files
from tests.reliability.promise import Figure, Promise, Tier
from tests.reliability.trial import trial
from wavenet.copies import kept
from wavenet.data.conditions import labels_of
from wavenet.data.tracks import ArrayTrack
from wavenet.mel import Mel
from wavenet.model import WaveNet, WaveNetConfig


@dataclass(frozen=True)
class Place:
    """Folders of their own for a way that names go: what is given, what must stay as it is, and where results go."""

    data: Path
    away: Path
    out: Path
    names: list[str]
    given: list[str]
    """The paths, as they were named, of those names that can be one."""

    @classmethod
    def of(cls, root: Path, ending: str, content: bytes) -> Place:
        """Fill them."""
        place = cls(root / "data" / "in", root / "away", root / "out", hostile_names(ending, root / "away"), [])
        for folder in (place.data / "sub", place.away):
            folder.mkdir(parents=True)
        return replace(place, given=made_files(place.names, place.data, content))

    @property
    def around(self) -> dict[str, str]:
        """What there is outside of ``out``."""
        return {
            path: what for path, what in contents(self.out.parent).items() if not Path(path).is_relative_to(self.out)
        }

    @property
    def inside(self) -> list[str]:
        """The files in ``out``, whichever way their capitals go."""
        return [path for path in contents(self.out) if Path(path).parent == self.out]


def proof(tier: Tier) -> Figure:
    """Every name, every way: each ends in a file of its own, where results belong, or in one line."""
    ways: dict[str, Callable[[Tier, Path], tuple[int, int]]] = {
        "masks": _masks, "copies": _copies, "listed": _listed, "labels": _labels, "kept": _kept,
    }  # fmt: skip
    if tier.name == "full":
        ways["sounds"] = _sounds
    counted = {name: trial(lambda name=name, way=way: way(tier, tier.folder(name))) for name, way in ways.items()}
    found = {name: outcome.answer or (0, 1) for name, outcome in counted.items()}
    held, of = (sum(each[at] for each in found.values()) for at in (0, 1))
    faults = {name: outcome.fault[-500:] for name, outcome in counted.items() if outcome.fault}
    names = len(hostile_names("", Path("/away")))
    said = f"{names} names {len(ways)} ways: {held} of {of} kept to their folder or refused in one line, "
    return Figure(held, of, said + f"{of - held} files outside of it, inputs harmed or lines garbled", faults)


def control(tier: Tier) -> Figure:
    """``os.path.join(out, name)`` for each name."""
    place = Place.of(tier.folder("naive"), ".png", b"input")
    before, held, garbled = place.around, 0, 0
    place.out.mkdir()
    for name in place.names:
        known = contents(place.out.parent)
        try:
            with open(os.path.join(place.out, name), "wb") as file:  # noqa: PTH118, PTH123
                file.write(b"result")
        except (OSError, ValueError):
            held += 1  # refused, if not in words
            continue
        new = [path for path, what in contents(place.out.parent).items() if known.get(path) != what]
        stayed = len(new) == 1 and Path(new[0]).parent == place.out
        held += stayed and name.isprintable()
        garbled += stayed and not name.isprintable()
    harmed = sum(place.around.get(path) != what for path, what in before.items())
    outside = len(place.names) - held - garbled
    said = f"{outside} of {len(place.names)} left the folder or met another, {harmed} inputs overwritten, "
    return Figure(held, len(place.names), f"{said}{garbled} lines garbled")


def _masks(tier: Tier, root: Path) -> tuple[int, int]:  # noqa: ARG001
    """``segmentation predict`` of all, then each that is no file, alone."""
    place = Place.of(root, ".png", whole_files()["png"])
    network = replace(PRESETS["fast"], width=8, channels=16)
    SegmentationModel(ModelConfig(network=network, classes=numbered(4))).save_pretrained(root / "model")
    before = place.around
    said = commands.run("segmentation", "predict", root / "model", *place.given, "-o", place.out, "--threads", 1)
    held = len(place.inside) if said.code == 0 and said.printable and place.around == before else 0
    absent = [os.path.join(place.data, name) for name in place.names]  # noqa: PTH118
    absent = [path for path in absent if path not in place.given and not os.path.isdir(path.rstrip("\0"))]  # noqa: PTH112
    held += sum(_refused(lambda path=path: targets(frames([path]), place.out, [MASK])) for path in absent)
    return held, len(place.given) + len(absent)


def _copies(tier: Tier, root: Path) -> tuple[int, int]:  # noqa: ARG001
    """``wavenet prepare -o`` of the folder that holds them, then once more over a link to a recording."""
    place = Place.of(root, ".wav", whole_files()["wav"])
    before = place.around
    said = commands.run("wavenet", "prepare", place.data, "-o", place.out)
    copies = [path for path in contents(place.out) if Path(path).is_relative_to(place.out)]
    there = [path for path in contents(place.data) if not _is_hidden(Path(path), place.data)]
    held = len(copies) if said.code == 0 and said.printable and place.around == before else 0
    (place.data / "alias").symlink_to(place.out)
    again = commands.run("wavenet", "prepare", place.data, "-o", place.out, "--force")
    return held + (again.code == 1 and again.printable and place.around.items() >= before.items()), len(there) + 1


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _listed(tier: Tier, root: Path) -> tuple[int, int]:  # noqa: ARG001
    """In a list of pairs, which may lead anywhere, to be read; in a Pascal VOC list, which may not."""
    place, whole = Place.of(root, ".png", whole_files()["png"]), whole_files()
    (place.data / "mask.png").write_bytes(whole["mask.png"])
    pictures, masks, lists = (
        place.data / name for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")
    )
    for folder in (pictures, masks, lists):
        folder.mkdir(parents=True)
    for folder, ending, kind in ((pictures, ".jpg", "jpg"), (masks, ".png", "mask.png")):
        made_files(hostile_names(ending, place.away), folder, whole[kind])
    held, before = 0, None
    for name in place.names:
        text = name.encode("utf-8", "surrogateescape")
        (place.data / "pairs.txt").write_bytes(b'"' + text.replace(b'"', b'""') + b'",mask.png\n')
        (lists / "train.txt").write_bytes(text.removesuffix(b".png") + b"\n")
        before = before or set(place.around)
        held += _silent(lambda: PairList(path=str(place.data / "pairs.txt")).load(0))
        held += _silent(lambda: VOCLayout(root=str(place.data), held="").load(0), below=pictures)
    return held if set(place.around) == before else 0, 2 * len(place.names)


def _silent(load: Callable[[], Any], below: Path | None = None) -> bool:
    """Whether what is loaded, if anything, lies below a folder, and all that is said is printable."""
    try:
        found = load()
    except InputError as error:
        return str(error).isprintable()
    lines = [*found.refused, *found.remarks]
    paths = [os.path.normpath(sample.pair.image) for sample in found.train] if below else []
    return all(line.isprintable() for line in lines) and all(Path(path).is_relative_to(below) for path in paths)


def _labels(tier: Tier, root: Path) -> tuple[int, int]:  # noqa: ARG001
    """As the speakers of a table: taken, if they can be said, or refused in one line."""
    names = [name for name in hostile_names("", Path("/away")) if name.strip()]
    held = 0
    for name in names:
        text = name.encode("utf-8", "surrogateescape").replace(b'"', b'""')
        (root / "speakers.csv").write_bytes(b'a.wav,"' + text + b'"\n')
        try:
            label = labels_of([ArrayTrack("a.wav", [])], str(root / "speakers.csv"))["a.wav"]
        except InputError as error:
            held += str(error).isprintable()
        else:
            held += label.isprintable()
    return held, len(names)


def _kept(tier: Tier, root: Path) -> tuple[int, int]:  # noqa: ARG001
    """As recordings of which ``wavenet evaluate -o`` keeps copies."""
    place, out = Place.of(root, ".wav", b"sound"), root / "out"
    names = [Path(path).name for path in place.given]
    places = [path for each in kept.targets(out, names, ["recording"], force=False) for path in each.values()]
    distinct = {str(path).casefold() for path in places if path.parent == out and path.name not in ("", ".", "..")}
    return len(distinct), len(names)


def _sounds(tier: Tier, root: Path) -> tuple[int, int]:  # noqa: ARG001
    """``wavenet vocode``, each alone."""
    place = Place.of(root, ".wav", whole_files()["wav"])
    shape = {"dilations": (1, 2), "residual_channels": 4, "gate_channels": 4, "skip_channels": 4}
    WaveNet(WaveNetConfig(frames=Mel(), **shape)).save_pretrained(root / "model")
    before, held = place.around, 0
    for path in place.given:
        said = commands.run("wavenet", "vocode", root / "model", path, "-o", f"{place.out}/", "--force", "--threads", 1)
        fine = said.code == 0 or said.is_one_line_naming("wavenet vocode")
        held += fine and said.printable and place.around == before
    return held, len(place.given)


def _refused(call: Callable[[], Any]) -> bool:
    try:
        call()
    except InputError as error:
        return str(error).isprintable()
    return False


PROMISE = Promise(
    number=13,
    guarantee="Results stay in the folder that you name, each under a name of its own, and no input is written over, "
    "whatever files are called. What a list names is only read, and a remark counts what lies outside of the list's "
    "folder. No name garbles a terminal.",
    naive="`os.path.join(out, name)`",
    proof=proof,
    control=control,
)
