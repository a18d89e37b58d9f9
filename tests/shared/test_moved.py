"""A run goes on with data that have moved, in both crafts alike, once it is told where they are."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import segmentation.cli
import wavenet.cli
from segmentation.data import PairList
from segmentation.data.shapes import draw
from segmentation.run import Run as PictureRun
from shared.errors import InputError
from shared.training.moved import moved
from tests.melodies import write_melodies
from tests.segmentation.conftest import TINY as TINY_NETWORK
from tests.wavenet.command_line import TINY as TINY_WAVENET
from wavenet.data import Plucks, Recordings
from wavenet.run import Run


@dataclass
class Craft:
    main: object
    place: str
    flags: list[str]


CRAFTS = {
    "wavenet": Craft(wavenet.cli.main, "path", TINY_WAVENET),
    "segmentation": Craft(segmentation.cli.main, "root", TINY_NETWORK),
}


def data_of(craft: str, folder: Path) -> None:
    if craft == "wavenet":
        write_melodies(folder, [f"melody {at}" for at in range(4)], 1.0)
        return
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for at in range(8):
        pixels, ids = draw((40, 56), np.random.default_rng(at))
        Image.fromarray(pixels).save(folder / "images" / f"{at}.png")
        Image.fromarray(ids).save(folder / "masks" / f"{at}.png")


@pytest.mark.parametrize("craft", CRAFTS)
def test_a_run_goes_on_where_its_data_are_now_and_remembers_it(craft, tmp_path, capsys):
    main, run, old, new = CRAFTS[craft].main, tmp_path / "run", tmp_path / "old", tmp_path / "new"
    old.mkdir()
    data_of(craft, old)
    assert main(["train", str(old), "-o", str(run), "--steps", "1", "--threads", "1", "-q", *CRAFTS[craft].flags]) == 0
    old.rename(new)
    assert main(["train", "--resume", str(run), "--steps", "2", "-q"]) == 1
    capsys.readouterr()
    assert main(["train", "--resume", str(run), str(new), "--steps", "2", "-q"]) == 0
    assert "not what they were" not in capsys.readouterr().err
    assert json.loads((run / "config.json").read_text())["data"][CRAFTS[craft].place] == str(new)


def test_what_lies_with_the_data_is_led_along_and_nothing_else(tmp_path):
    run = Run(data=Recordings(path="/old/sound"), speakers="/old/sound/table.csv", features="/old/sounds")
    run = moved(run, str(tmp_path))
    assert run.data.path == str(tmp_path)
    assert run.speakers == str(tmp_path / "table.csv")
    assert run.features == "/old/sounds"
    assert moved(run, None) == run


def test_a_list_of_pairs_takes_what_lies_beside_it_along(tmp_path):
    (tmp_path / "train.txt").write_text("")
    run = PictureRun(data=PairList(path="/old/pairs.txt", held="/old/val.txt", classes="/tables/classes.csv"))
    data = moved(run, str(tmp_path / "train.txt")).data
    assert (data.path, data.held) == (str(tmp_path / "train.txt"), str(tmp_path / "val.txt"))
    assert data.classes == "/tables/classes.csv"


def test_data_that_are_made_cannot_move():
    with pytest.raises(InputError, match="leave DATA out"):
        moved(Run(data=Plucks()), "/new")
