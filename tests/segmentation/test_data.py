"""Pairs are found by name, masks read by one rule for the set, and what is wrong is named and left out."""

import csv
import dataclasses
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmentation.data import PairList, PictureFolder, Shapes, VOCLayout
from segmentation.data.masks import decide, look
from segmentation.data.pairs import in_folders, in_list, in_voc
from segmentation.data.split import looks_like_video, natural, split
from segmentation.palette import VOC, Classes, numbered, write_palette_png
from shared.config import from_json, to_json
from shared.errors import InputError

DATA = Path(__file__).parents[3] / "shared" / "data"
BAD, CAMVID = DATA / "bad", DATA / "camvid"


needs_bad = pytest.mark.skipif(not BAD.is_dir(), reason=f"{BAD} is not there")
needs_camvid = pytest.mark.skipif(not CAMVID.is_dir(), reason=f"{CAMVID} is not there")


@pytest.fixture(scope="module")
def bad():
    if not BAD.is_dir():
        pytest.skip(f"{BAD} is not there")
    return PictureFolder(root=str(BAD)).load(0)


@needs_bad
def test_a_good_mask_equals_its_other_storages(bad):
    masks = {sample.name: sample.read()[1] for sample in bad.train}
    for name in ("mask_palette", "mask_16bit", "mask_rgba"):
        assert np.array_equal(masks[name], masks["good_reference"]), name
    assert set(np.unique(masks["mask_one_bit"])) == {0, 1}


@needs_bad
def test_colour_masks_are_read_once_a_table_is_given(tmp_path):
    seen = look(BAD / "masks" / "mask_rgb_colours.png")
    rows = [f"c{at},{code >> 16},{code >> 8 & 255},{code & 255}" for at, code in enumerate(seen.codes.tolist())]
    (tmp_path / "classes.csv").write_text("\n".join(rows))
    data = PictureFolder(root=str(BAD), classes=str(tmp_path / "classes.csv")).load(0)
    assert "mask_rgb_colours" in {sample.name for sample in data.train}


@needs_camvid
def test_camvid_is_read_as_its_makers_counted_it():
    classes = str(CAMVID / "classes.csv")
    data = PictureFolder(root=str(CAMVID / "train"), held=str(CAMVID / "val"), classes=classes).load(0.1)
    with Path(classes).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert data.pixels.tolist() == [int(row["train_pixels"]) for row in rows[:11]]
    assert sum(int(sample.counts[-1]) for sample in data.train) == int(rows[11]["train_pixels"])
    assert (len(data.train), len(data.validation)) == (367, 101)
    assert not data.refused
    assert not data.remarks
    assert set(np.unique(data.train[0].read()[1])) <= {*range(11), 255}


# made here


def picture(path, seed=0, size=(24, 32)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def ids_of(seed=0, classes=3, size=(24, 32)):
    return np.random.default_rng(seed).integers(0, classes, size).astype(np.uint8)


def mask(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def folder(root, names=("a", "b", "c", "d"), make=ids_of):
    for at, name in enumerate(names):
        picture(root / "images" / f"{name}.png", at)
        mask(root / "masks" / f"{name}.png", make(at))
    return root


def ids_by_name(data):
    return {sample.name: sample.read()[1] for sample in (*data.train, *data.validation)}


def test_a_plain_folder_needs_nothing_else(tmp_path):
    data = PictureFolder(root=str(folder(tmp_path))).load(0.25)
    assert data.classes.count == 3
    assert len(data.train) == 3
    assert len(data.validation) == 1
    assert np.array_equal(ids_by_name(data)["b"], ids_of(1))
    assert data.remarks == ("3 classes are found in the masks: 0 to 2",)
    assert np.array_equal(sum(sample.counts for sample in data.train)[:3], data.pixels)


def test_order_and_fingerprint_do_not_depend_on_where_the_folder_lies(tmp_path):
    names = ("z", "frame 10", "frame 2", "sub/a", "B")
    one, two = (PictureFolder(root=str(folder(tmp_path / place, names))).load(0.3) for place in ("here", "there"))
    assert one.fingerprint == two.fingerprint
    assert [sample.name for sample in one.train] == [sample.name for sample in two.train]
    assert [pair.name for pair in in_folders(tmp_path / "here").pairs] == ["B", "frame 2", "frame 10", "sub/a", "z"]


def test_names_are_compared_in_one_unicode_form(tmp_path):
    picture(tmp_path / "images" / (unicodedata.normalize("NFD", "café") + ".png"))
    mask(tmp_path / "masks" / (unicodedata.normalize("NFC", "café") + ".png"), ids_of())
    assert in_folders(tmp_path).pairs[0].name == unicodedata.normalize("NFC", "café")


def test_endings_that_all_masks_share_are_put_aside(tmp_path):
    for at in range(3):
        picture(tmp_path / "images" / f"x{at}_img.png", at)
        mask(tmp_path / "masks" / f"x{at}_gt_labels.png", ids_of(at))
    assert [pair.name for pair in in_folders(tmp_path).pairs] == ["x0", "x1", "x2"]


def test_what_has_no_partner_or_two_is_named(tmp_path):
    folder(tmp_path)
    (tmp_path / "masks" / "a.png").unlink()
    (tmp_path / "images" / "b.png").unlink()
    picture(tmp_path / "images" / "c.jpg")
    found = in_folders(tmp_path)
    assert [pair.name for pair in found.pairs] == ["d"]
    assert "this picture has no mask" in found.refused[0]
    assert "this mask has no picture" in found.refused[1]
    assert "c.jpg and c.png have one name, for one mask" in found.refused[2]


def test_missing_folders_say_what_to_give(tmp_path):
    folder(tmp_path / "train")
    with pytest.raises(InputError, match=r"did you mean .*train\?"):
        in_folders(tmp_path)
    with pytest.raises(InputError, match="no such folder; give a folder with images/ and masks/"):
        in_folders(tmp_path / "nowhere")
    (tmp_path / "empty" / "images").mkdir(parents=True)
    (tmp_path / "empty" / "masks").mkdir()
    with pytest.raises(InputError, match="no picture has a mask"):
        in_folders(tmp_path / "empty")


def test_lists_of_pairs_are_read_with_comma_tab_or_space(tmp_path):
    folder(tmp_path)
    for at, between in enumerate((",", "\t", " ", " , ")):
        path = tmp_path / f"{at}.txt"
        lines = [f"images/{name}.png{between}masks/{name}.png" for name in "ba"]
        path.write_text("\n".join(["# mine", *lines, ""]))
        assert [pair.name for pair in in_list(path).pairs] == ["images/a", "images/b"]
    data = PairList(path=str(path)).load(0.5)
    assert len(data.train) == len(data.validation) == 1
    path.write_text("images/a.png\n")
    with pytest.raises(InputError, match="line 1 has 1 columns, not 2"):
        in_list(path)
    path.write_text("images/a.png,masks/a.png\nimages/a.png,masks/b.png\n")
    assert "is on the lines 1 and 2" in in_list(path).refused[0]


def test_a_voc_folder_is_read_with_its_classes_and_its_split(tmp_path):
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for at, name in enumerate(("2007_1", "2007_2", "2007_3")):
        picture(root / "JPEGImages" / f"{name}.jpg", at)
        ids = ids_of(at, 21)
        ids[0] = 255
        (root / "SegmentationClass").mkdir(exist_ok=True)
        write_palette_png(root / "SegmentationClass" / f"{name}.png", ids, VOC)
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("2007_2\n2007_1\n")
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("2007_3\n2007_4\n")
    data = VOCLayout(root=str(tmp_path)).load(0.1)
    assert [sample.name for sample in data.train] == ["2007_1", "2007_2"]
    assert data.classes == VOC
    assert data.validation[0].counts[-1] == 32
    assert "2007_4.jpg" in data.refused[0]
    assert data.train[0].read()[1].max() == 255


# how masks are read


def classes_with_colours():
    return Classes(names=("sky", "sea", "void"), colours=((128, 128, 128), (0, 0, 200), (9, 8, 7)), stated=True)


def test_binary_masks_are_found_out(tmp_path):
    data = PictureFolder(root=str(folder(tmp_path, make=lambda at: ids_of(at, 2) * 255))).load(0)
    assert data.classes.names == ("background", "object")
    assert np.array_equal(ids_by_name(data)["a"], ids_of(0, 2))
    assert "binary" in data.remarks[0]


def test_one_mask_of_0_and_255_among_ids_is_refused_unless_ids_are_asked_for(tmp_path):
    root = folder(tmp_path, make=lambda at: ids_of(at, 2) * 255 if at == 1 else ids_of(at))
    data = PictureFolder(root=str(root)).load(0)
    assert len(data.train) == 3
    assert "b.png: holds 0 and 255 alone" in data.refused[0]
    assert len(PictureFolder(root=str(root), encoding="ids").load(0).train) == 4


def test_palette_masks_are_ids_unless_their_colours_are_the_classes(tmp_path):
    classes = classes_with_colours()
    folder(tmp_path / "ids", make=ids_of)
    for at, name in enumerate("abcd"):
        write_palette_png(tmp_path / "ids" / "masks" / f"{name}.png", ids_of(at), numbered(3))
    assert np.array_equal(ids_by_name(PictureFolder(root=str(tmp_path / "ids")).load(0))["c"], ids_of(2))
    # the same colours under other numbers, as a picture editor would save them
    folder(tmp_path / "edited")
    for at, name in enumerate("abcd"):
        image = Image.fromarray((2 - ids_of(at)).astype(np.uint8))
        image.putpalette(classes.table[2::-1].tobytes())
        image.save(tmp_path / "edited" / "masks" / f"{name}.png")
    table = tmp_path / "classes.csv"
    table.write_text("sky,128,128,128\nsea,0,0,200\nvoid,9,8,7\n")
    data = PictureFolder(root=str(tmp_path / "edited"), classes=str(table)).load(0)
    assert np.array_equal(ids_by_name(data)["a"], ids_of(0))


def test_colour_masks_are_read_by_the_table_even_one_that_is_grey_all_over(tmp_path):
    classes = classes_with_colours()

    def make(at):
        return classes.table[np.zeros((24, 32), np.uint8) if at == 2 else ids_of(at)]

    table = tmp_path / "classes.csv"
    table.write_text("name,red,green,blue,ignored\nsky,128,128,128,\nsea,0,0,200,\nvoid,9,8,7,yes\n")
    data = PictureFolder(root=str(folder(tmp_path, make=make)), classes=str(table)).load(0)
    expected = ids_of(0)
    expected[expected == 2] = 255
    assert np.array_equal(ids_by_name(data)["a"], expected)
    assert not ids_by_name(data)["c"].any()
    with pytest.raises(InputError, match=r"in colours .* give a class table"):
        PictureFolder(root=str(folder(tmp_path / "only", make=lambda at: classes.table[ids_of(at)]))).load(0)


def test_ids_stored_as_grey_rgb_are_ids(tmp_path):
    data = PictureFolder(root=str(folder(tmp_path, make=lambda at: ids_of(at)[:, :, None].repeat(3, 2)))).load(0)
    assert np.array_equal(ids_by_name(data)["d"], ids_of(3))


def test_an_unknown_value_is_named_with_file_count_and_place(tmp_path):
    def make(at):
        ids = ids_of(at)
        if at == 1:
            ids[5, 7:9] = 200
        return ids

    root = folder(tmp_path, make=make)
    table = tmp_path / "classes.csv"
    table.write_text("a\nb\nc\n")
    data = PictureFolder(root=str(root), classes=str(table)).load(0)
    assert len(data.train) == 3
    assert f"{root / 'masks' / 'b.png'}: has the value 200 (2 pixels, first at x 7, y 5)" in data.refused[0]
    assert "the 3 classes are 0 to 2" in data.refused[0]


def test_numbers_with_gaps_ask_for_a_table_that_then_works(tmp_path):
    root = folder(tmp_path, make=lambda at: ids_of(at) * 60)
    with pytest.raises(InputError, match=r"they hold the numbers 0 60 120 .* give a class table"):
        PictureFolder(root=str(root)).load(0)
    table = tmp_path / "classes.csv"
    table.write_text("name,value\na,0\nb,60\nc,120\n")
    data = PictureFolder(root=str(root), classes=str(table)).load(0)
    assert np.array_equal(ids_by_name(data)["a"], ids_of(0))


def test_deep_masks_with_large_numbers_are_read_by_their_table(tmp_path):
    root = folder(tmp_path, make=lambda at: ids_of(at).astype(np.uint16) * 1000)
    table = tmp_path / "classes.csv"
    table.write_text("name,value\na,0\nb,1000\nc,2000\n")
    data = PictureFolder(root=str(root), classes=str(table)).load(0)
    assert np.array_equal(ids_by_name(data)["b"], ids_of(1))


def test_counts_of_the_scan_are_those_of_the_masks(tmp_path):
    for stored in (ids_of(0), ids_of(0)[:, :, None].repeat(3, 2), ids_of(0).astype(np.uint16)):
        seen = look(mask(tmp_path / "a.png", stored))
        decoder, _ = decide([seen])
        ids = decoder.read(tmp_path / "a.png")
        assert decoder.count(seen).tolist() == [*np.bincount(ids.ravel(), minlength=3), 0]


def test_a_file_that_changes_after_the_scan_is_one_line(tmp_path):
    data = PictureFolder(root=str(folder(tmp_path))).load(0)
    picture(tmp_path / "images" / "a.png", size=(10, 12))
    with pytest.raises(InputError, match="has another size than when it was checked; run the command again"):
        data.train[0].read()
    (tmp_path / "masks" / "b.png").unlink()
    with pytest.raises(InputError, match="cannot be opened"):
        data.train[1].read()


def test_training_and_validation_may_not_share_a_picture(tmp_path):
    root = str(folder(tmp_path))
    with pytest.raises(InputError, match="is to be trained on and validated on"):
        PictureFolder(root=root, held=root).load(0.1)


# splits


@pytest.mark.parametrize("by", ["file", "prefix"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.99])
def test_every_split_is_disjoint_and_complete(by, share):
    random = np.random.default_rng(0)
    for count in (1, 2, 3, 40):
        names = [f"v{random.integers(4)}_{at:03}" for at in range(count)]
        train, held = split(names, share, by)
        assert sorted(train + held) == list(range(count))
        assert train
        assert bool(held) == (share > 0 and count > 1)


def test_a_file_keeps_its_side_when_others_come():
    names = [f"p{at}" for at in range(300)]
    before = {names[at] for at in split(names, 0.2)[1]}
    more = [*names, "q1", "q2", "a"]
    assert before == {more[at] for at in split(more, 0.2)[1]} & set(names)


def test_frames_of_one_video_stay_together():
    names = [f"{video}_{frame:05}" for video, count in (("A", 60), ("B2", 30), ("C", 10)) for frame in range(count)]
    train, held = split(names, 0.1, "prefix")
    assert not {names[at].split("_")[0] for at in train} & {names[at].split("_")[0] for at in held}
    assert {names[at].split("_")[0] for at in held} == {"C"}
    assert looks_like_video(names)
    assert not looks_like_video([f"IMG{at}" for at in range(50)])


def test_one_video_is_cut_at_its_end():
    train, held = split([f"f{at}" for at in range(20)], 0.2, "prefix")
    assert held == [16, 17, 18, 19]
    assert train == list(range(16))


def test_names_are_sorted_as_people_count():
    assert sorted(["a10", "a9", "a1b", "a", "10", "9"], key=natural) == ["9", "10", "a", "a1b", "a9", "a10"]


@needs_camvid
def test_the_videos_of_camvid_are_told_apart():
    names = [path.stem for path in (CAMVID / "train" / "images").iterdir()]
    assert looks_like_video(names)
    train, held = split(sorted(names), 0.1, "prefix")
    assert (len(train), len(held)) == (305, 62)


# shapes and configs


def test_shapes_are_a_function_of_seed_and_index():
    one, two = (Shapes(count=12).load(0.25) for _ in range(2))
    assert (len(one.train), len(one.validation)) == (9, 3)
    for here, there in zip(one.train, two.train, strict=True):
        assert all(np.array_equal(each, other) for each, other in zip(here.read(), there.read(), strict=True))
    assert not np.array_equal(one.train[0].read()[0], Shapes(count=12, seed=1).load(0).train[0].read()[0])
    assert one.fingerprint == two.fingerprint


def test_shapes_hold_all_classes_everywhere_and_colour_does_not_tell_them():
    samples = Shapes(count=150).load(0).train
    pixels, masks = zip(*(sample.read() for sample in samples), strict=True)
    masks, pixels = np.stack(masks), np.stack(pixels).astype(int)
    share = np.bincount(masks.ravel(), minlength=4) / masks.size
    assert share.min() > 0.03
    assert share[0] < 0.85
    for kind in range(1, 4):
        assert ((masks == kind).any(0)).mean() > 0.95  # anywhere
        assert (masks == kind).any(axis=(1, 2)).mean() < 0.95  # not in every picture
        colours = pixels[masks == kind].mean(0)
        assert np.abs(colours - pixels[masks == 0].mean(0)).max() < 25
    common = masks[:75].reshape(75, -1)
    vote = np.apply_along_axis(lambda each: np.bincount(each, minlength=4).argmax(), 0, common)
    assert (vote == 0).all()  # the best constant mask is ground alone


@pytest.mark.parametrize(
    "source",
    [
        PictureFolder(root="a", held="b", encoding="binary", split="prefix"),
        PairList(path="a.txt"),
        VOCLayout(root="a", held=""),
        Shapes(count=7, size=(64, 80), seed=3),
    ],
)
def test_sources_go_through_json(source):
    from segmentation.data import Source

    @dataclasses.dataclass(frozen=True)
    class Holder:
        data: Source

    assert from_json(Holder, to_json(Holder(source))).data == source


def test_a_list_may_lead_anywhere_and_a_remark_says_so(tmp_path, pictures):
    inside, table = tmp_path / "lists", tmp_path / "lists" / "pairs.txt"
    inside.mkdir()
    table.write_text(f"{pictures}/images/0.png,{pictures}/masks/0.png\n")
    data = PairList(path=str(table)).load(0)
    assert len(data.train) == 1
    assert any("2 of its files lie outside of its folder" in remark for remark in data.remarks)


@pytest.mark.parametrize("name", ["../JPEGImages/../../secret", "/etc/secret", "a\0b", "..", ".", "x/../../secret"])
def test_a_voc_list_does_not_lead_out_of_its_folder(tmp_path, name):
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ImageSets" / "Segmentation" / "train.txt").write_text(f"good\n{name}\n")
    found = in_voc(tmp_path, "train")
    assert [pair.name for pair in found.pairs] == ["good"]
    assert len(found.refused) == 1
    assert found.refused[0].isprintable()


def test_a_link_to_itself_is_left_out(tmp_path, pictures):
    shutil.copytree(pictures, tmp_path / "data")
    (tmp_path / "data" / "images" / "0.png").unlink()
    (tmp_path / "data" / "images" / "0.png").symlink_to("0.png")
    data = PictureFolder(root=str(tmp_path / "data")).load(0)
    assert len(data.train) == 11
    assert "cannot be opened" in data.refused[0]
