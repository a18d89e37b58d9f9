"""The report counts what is there, names what is not, and advises only where something is the matter."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmentation.check import check, spread, stacked
from segmentation.data import PictureFolder, Shapes

DATA = Path(__file__).parents[3] / "shared" / "data"


def folder(root, make, count=4, size=(30, 40), name="p{}x"):
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True, exist_ok=True)
    for at in range(count):
        pixels = np.random.default_rng(at).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{name.format(at)}.png")
        Image.fromarray(make(at)).save(root / "masks" / f"{name.format(at)}.png")
    return PictureFolder(root=str(root))


def halves(rare=0):
    ids = np.zeros((30, 40), np.uint8)
    ids[:, 20:] = 1
    ids[0, :rare] = 2
    return ids


def text(report):
    return "\n".join(report.lines())


def test_counts_are_those_of_the_masks(tmp_path):
    report = check(folder(tmp_path, lambda at: halves(rare=3 * (at == 1)), count=30))
    assert report.pixels.tolist() == [30 * 600 - 3, 30 * 600, 3]
    assert report.pictures.tolist() == [30, 30, 1]
    assert report.lines()[0] == "30 pairs of picture and mask, all 40 × 30 pixels"
    assert "class 2 covers 0.01% of the pixels, in 1 of 30 pictures: try --class-weights median" in text(report)


def test_a_sound_set_gets_no_advice():
    report = check(Shapes(count=30, size=(48, 64)))
    assert report.advice == ()
    assert "advice" not in text(report)


MOSTLY_0, GAP = np.where(halves(rare=1) == 2, np.uint8(1), np.uint8(0)), halves() * 2
HALF_VOID = np.where(halves() == 1, np.uint8(255), halves(rare=19))


@pytest.mark.parametrize(
    ("ids", "count", "advice"),
    [
        (halves() * 0, 4, "there is one class only"),
        (MOSTLY_0, 4, "class 0 covers 99.9% of the pixels"),
        (GAP, 4, "no mask holds class 1: nothing can be learnt about it"),
        (halves(), 4, "4 pairs are very few"),
        (HALF_VOID, 30, "50% of the pixels are ignored"),
        (halves(), 30, "name the classes with --classes FILE"),
    ],
)
def test_advice_names_the_matter(tmp_path, ids, count, advice):
    report = check(folder(tmp_path, lambda _: ids, count))
    assert any(advice in each for each in report.advice), report.advice


def test_frames_of_videos_are_noticed_until_they_are_split_by_prefix(tmp_path):
    source = folder(tmp_path, lambda _: halves(), count=24, name="a_{}")
    for path in list(tmp_path.rglob("*.png")):
        if int(path.stem[2:]) % 2:
            path.rename(path.with_name(path.name.replace("a_", "b_")))
    assert "--split prefix" in text(check(source))
    assert "--split prefix" not in text(check(PictureFolder(root=str(tmp_path), split="prefix")))


def test_binary_masks_are_said_to_be(tmp_path):
    report = check(folder(tmp_path, lambda _: halves() * 255))
    assert "the masks hold 0 and 255 only: read as binary" in text(report)
    assert "object" in text(report)


def test_sizes_are_told(tmp_path):
    folder(tmp_path, lambda _: halves(), count=3)
    Image.fromarray(np.zeros((9, 60, 3), np.uint8)).save(tmp_path / "images" / "z.png")
    Image.fromarray(np.zeros((9, 60), np.uint8)).save(tmp_path / "masks" / "z.png")
    assert "2 sizes from 60 × 9 to 40 × 30 pixels, most often 40 × 30" in text(check(PictureFolder(root=str(tmp_path))))


def test_the_sheet_shows_pictures_of_any_shape(tmp_path):
    report = check(folder(tmp_path, lambda _: halves(), count=3))
    sheet = report.sheet()
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3
    assert len(sheet) > 2 * 160
    assert stacked(sheet[:5, :7], sheet[:3, :9], gap=2).shape == (10, 9, 3)
    assert len(spread(report.samples.train, 2)) == 2


@pytest.mark.skipif(not (DATA / "bad").is_dir(), reason=f"{DATA / 'bad'} is not there")
def test_the_odd_files_are_each_named_in_one_line():
    report = check(PictureFolder(root=str(DATA / "bad")))
    lines = report.lines(most=1_000)
    assert f"left out: {len(report.samples.refused)}" in lines
    assert all("\n" not in line for line in lines)
    assert len(report.lines(most=3)) < len(lines)
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["pairs"] == len(report.samples.train)
