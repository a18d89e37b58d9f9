"""Inputs come in the order in which people count, and no result lies over an input or another result."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmentation.frames import MASK, OVERLAY, Frame, frames, targets
from shared.errors import InputError


def make(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((9, 12, 3), np.uint8)).save(path)
    return path


def names(found: list[Frame]) -> list[str]:
    return [frame.path.name for frame in found]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("f10.png", "f2.png", "f1.jpg", ".hidden.png", "inner/x.png"):
        make(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    return tmp_path / "in"


def test_a_folder_is_its_pictures_as_people_count(folder: Path) -> None:
    assert names(frames([folder])) == ["f1.jpg", "f2.png", "f10.png"]


def test_patterns_files_and_folders_keep_their_order_and_each_picture_comes_once(folder: Path) -> None:
    given = [str(folder / "f10.png"), str(folder / "f*.png"), str(folder)]
    assert names(frames(given)) == ["f10.png", "f2.png", "f1.jpg"]
    assert names(frames([str(folder / "**" / "*.png")])) == ["f2.png", "f10.png", "x.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    assert names(frames([make(tmp_path / "a[1].png")])) == ["a[1].png"]


@pytest.mark.parametrize("given", [[], ["gone.png"], ["gone/*.png"], ["EMPTY"], ["a\0b"]])
def test_what_is_not_there_is_said_in_one_line(given: list[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("EMPTY").mkdir()
    with pytest.raises(InputError) as caught:
        frames(given)
    assert "\n" not in str(caught.value)


def feed(content: bytes, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_a_picture_comes_through_stdin(tmp_path: Path, monkeypatch) -> None:
    feed(make(tmp_path / "a.png").read_bytes(), monkeypatch)
    (frame,) = frames(["-"])
    assert frame.read().pixels.shape == (9, 12, 3)
    assert frame.stem == "stdin"
    for content in (b"", b"no picture"):
        feed(content, monkeypatch)
        with pytest.raises(InputError, match=r"^stdin: "):
            frame.read()


def test_results_are_named_after_their_pictures(folder: Path, tmp_path: Path) -> None:
    chosen = targets(frames([folder]), tmp_path / "new" / "out", [MASK, OVERLAY])
    assert [path.name for path in chosen[0]] == ["f1.png", "f1_overlay.png"]
    assert (tmp_path / "new" / "out").is_dir()


@pytest.mark.parametrize(
    "given",
    [
        ["a.jpg", "a.png"],
        ["A.jpg", "a.png"],
        ["x/a.png", "y/a.png"],
        ["x/a.png", "y/a.png", "a.png", "a.jpg", "z/x/a.png"],
        ["a.png", "a_overlay.png"],
        ["a_overlay.png", "a.png"],
        ["a.jpg", "a.png", "a_jpg.png"],
        ["a_jpg.png", "a.jpg", "a.png", "a_png.jpg"],
    ],
)
@pytest.mark.parametrize("out", ["out", "."])
def test_results_collide_neither_with_each_other_nor_with_a_picture(given, out, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in given:
        make(Path(name))
    pictures = [Frame(Path(name)) for name in given]
    chosen = [path for paths in targets(pictures, Path(out), [MASK, OVERLAY]) for path in paths]
    keys = {str(path.absolute()).casefold() for path in chosen}
    assert len(keys) == 2 * len(given)
    assert not keys & {str(Path(name).absolute()).casefold() for name in given}
    chosen[-1].touch()
    with pytest.raises(InputError, match="exists already"):
        targets(pictures, Path(out), [MASK, OVERLAY])
    targets(pictures, Path(out), [MASK, OVERLAY], force=True)


def test_one_picture_may_be_given_the_name_of_its_mask(tmp_path: Path) -> None:
    picture = [Frame(make(tmp_path / "a.png"))]
    (paths,) = targets(picture, tmp_path / "street.png", [MASK, OVERLAY])
    assert [path.name for path in paths] == ["street.png", "street_overlay.png"]
    for out, reason in (("a.png", "is the picture that is read"), ("mask.jpg", "written as .png")):
        with pytest.raises(InputError, match=reason):
            targets(picture, tmp_path / out, [MASK])
    with pytest.raises(InputError, match="need a folder"):
        targets([*picture, Frame(make(tmp_path / "b.png"))], tmp_path / "street.png", [MASK])


def test_no_result_replaces_a_picture_through_a_link_even_by_force(tmp_path: Path) -> None:
    picture = make(tmp_path / "in" / "a.png")
    (tmp_path / "out").symlink_to(tmp_path / "in")
    ((path,),) = targets([Frame(picture)], tmp_path / "out", [MASK], force=True)
    assert path.resolve() != picture.resolve()


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    picture = [Frame(make(tmp_path / "a.png"))]
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made"):
        targets(picture, tmp_path / "file" / "out", [MASK])
    with pytest.raises(InputError, match=r"cannot be made|exists"):
        targets(picture, tmp_path / "file", [MASK])
