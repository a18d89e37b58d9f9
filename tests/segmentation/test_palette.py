"""A written mask is the mask; class tables are read or refused by line; pictures of masks show their colours."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmentation.images import read_mask
from segmentation.palette import (
    NOTHING,
    VOC,
    Classes,
    coloured,
    legend,
    numbered,
    overlay,
    palette_png,
    read_classes,
    safe_colours,
    side_by_side,
    voc_colours,
    write_palette_png,
    write_png,
)
from shared.config import from_json, to_json
from shared.errors import InputError

CAMVID = Path(__file__).parents[3] / "shared" / "data" / "camvid" / "classes.csv"


def random_ids(classes, shape=(20, 30), seed=0):
    ids = np.random.default_rng(seed).integers(0, classes + 1, shape).astype(np.uint8)
    ids[ids == classes] = 255
    return ids


@pytest.mark.parametrize("count", [1, 2, 11, 21, 255])
def test_a_palette_png_holds_the_ids_and_shows_the_colours(tmp_path, count):
    classes, ids = numbered(count), random_ids(count)
    write_palette_png(tmp_path / "a.png", ids, classes)
    mask = read_mask(tmp_path / "a.png")
    assert mask.storage == "palette"
    assert np.array_equal(mask.values, ids)
    shown = np.asarray(Image.open(io.BytesIO(palette_png(ids, classes))).convert("RGB"))
    assert np.array_equal(shown, coloured(ids, classes))


def test_classes_go_through_json_unchanged():
    classes = Classes(names=("a", "b"), colours=((1, 2, 3), (4, 5, 6)), values=(7, 9), ignored=(0, 255), stated=True)
    for each in (classes, VOC, numbered(4)):
        assert from_json(Classes, json.loads(json.dumps(to_json(each)))) == each


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"names": ("a", "a")}, "the name a occurs twice"),
        ({"colours": ((1, 2, 3), (1, 2, 3))}, "the colour .1, 2, 3. occurs twice"),
        ({"colours": ((1, 2, 3), (1, 2, 300))}, "no colour"),
        ({"values": (0, 255)}, "the value 255 occurs twice"),
        ({"colours": ()}, "differ in number"),
        ({"names": (), "colours": ()}, "1 to 255 classes"),
    ],
)
def test_classes_that_contradict_themselves_are_refused(change, text):
    with pytest.raises(ValueError, match=text):
        Classes(**({"names": ("a", "b"), "colours": ((1, 2, 3), (4, 5, 6))} | change))


def test_the_voc_map_is_the_known_one():
    colours = voc_colours(256)
    assert colours[15] == (192, 128, 128)  # person
    assert colours[20] == (0, 64, 128)  # tv monitor
    assert colours[255] == NOTHING
    assert len(set(colours)) == 256


def test_safe_colours_differ_and_do_not_depend_on_how_many_there_are():
    assert len(set(safe_colours(255))) == 255
    assert safe_colours(255)[:12] == safe_colours(12)


@pytest.mark.skipif(not CAMVID.is_file(), reason=f"{CAMVID} is not there")
def test_the_table_of_camvid_is_read():
    classes = read_classes(CAMVID)
    assert classes.count == 11
    assert classes.names[0] == "sky"
    assert classes.colours[10] == (0, 128, 192)
    assert classes.ignored == (11, 255)
    assert classes.ignored_colours == ((0, 0, 0),)
    assert classes.stated


def table(tmp_path, text):
    path = tmp_path / "classes.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_simple_tables_are_read(tmp_path):
    plain = read_classes(table(tmp_path, "road,128,64,128\ncar, 64, 0, 128\n\n"))
    assert plain.names == ("road", "car")
    assert plain.colours == ((128, 64, 128), (64, 0, 128))
    assert plain.numbers == (0, 1)
    headed = read_classes(
        table(tmp_path, "\ufeffvalue,Name,r,g,b,ignored\n0,void,0,0,0,yes\n7,road,1,2,3,no\n9,car,4,5,6,\n")
    )
    assert headed.numbers == (7, 9)
    assert headed.ignored == (0, 255)
    names = read_classes(table(tmp_path, "sky\nsea\n"))
    assert names.names == ("sky", "sea")
    assert not names.stated


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("road,1,2,3\n,4,5,6\n", "line 2 has no name"),
        ("road,1,2,x\n", "line 1: blue is 'x'"),
        ("road,1,2\n", "line 1: blue is ''"),
        ("road,1,2,3\ncar\n", "car has no colour"),
        ("road,1,2,3\nroad,4,5,6\n", "the name road occurs twice"),
        ("road,1,2,999\n", "no colour"),
        ("value,name\n3,a\n3,b\n", "the value 3 occurs twice"),
    ],
)
def test_a_broken_table_is_one_line(tmp_path, text, reason):
    path = table(tmp_path, text)
    with pytest.raises(InputError, match=reason) as caught:
        read_classes(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_table_that_is_no_text_is_one_line(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x80")
    for path in (tmp_path / "a.csv", tmp_path / "absent.csv", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_classes(path)


def test_an_overlay_mixes_colours_and_leaves_ignored_pixels():
    pixels = np.full((4, 5, 3), 100, np.uint8)
    ids = np.zeros((4, 5), np.uint8)
    ids[0] = 255
    classes = Classes(names=("a",), colours=((200, 0, 50),))
    shown = overlay(pixels, ids, classes, opacity=0.5)
    assert (shown[0] == 100).all()
    assert shown[1, 0].tolist() == [150, 50, 75]
    assert np.array_equal(overlay(pixels, ids, classes, opacity=0), pixels)


def test_side_by_side_keeps_every_pixel():
    one, two = np.zeros((4, 5, 3), np.uint8), np.full((4, 2, 3), 9, np.uint8)
    both = side_by_side(one, two, gap=3)
    assert both.shape == (4, 10, 3)
    assert np.array_equal(both[:, :5], one)
    assert np.array_equal(both[:, 8:], two)
    assert (both[:, 5:8] == 255).all()
    with pytest.raises(ValueError, match="heights differ"):
        side_by_side(one, two[:2])


def test_a_legend_holds_every_colour():
    shown = {tuple(colour) for colour in legend(VOC, 300).reshape(-1, 3).tolist()}
    assert set(VOC.colours) <= shown


def test_pictures_are_written_whole_or_refused_in_one_line(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", pixels)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)
    with pytest.raises(InputError, match="cannot be written"):
        write_png(tmp_path / "no" / "a.png", pixels)
