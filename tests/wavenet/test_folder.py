"""A scan names what it cannot use and goes on; a split depends on nothing but names."""

import os
import shutil
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from shared.errors import InputError
from wavenet.audio import Recording
from wavenet.data.folder import Scan, scan, split

BAD = Path(__file__).parents[3] / "shared" / "data" / "bad"


def sound(path: Path, frames: int = 800, rate: int = 16_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    form = "FLAC" if path.suffix.lower() == ".flac" else "WAV"
    soundfile.write(path, np.random.default_rng(frames).uniform(-0.5, 0.5, frames), rate, format=form)
    return path


def names(found: Scan) -> list[str]:
    return [recording.path.relative_to(found.root).as_posix() for recording in found.recordings]


def pretend(*paths: str) -> list[Recording]:
    return [Recording(Path(path), 16_000, 1, 16_000) for path in paths]


@pytest.fixture(scope="module")
def bad() -> Scan:
    if not BAD.is_dir():
        pytest.skip(f"{BAD} is not there")
    return scan(BAD / "audio")


def test_the_scan_of_odd_files_is_in_order_and_says_each_warning_once(bad: Scan) -> None:
    assert names(bad) == sorted(names(bad))
    assert len(bad.warnings) == sum(len(recording.warnings) for recording in bad.recordings)
    assert f"{BAD / 'audio' / 'silence.wav'}: silence" in bad.warnings


def test_order_follows_the_path_below_the_folder_whatever_the_number_of_workers(tmp_path: Path) -> None:
    for name in ("b.wav", "a/z.flac", "a/b/c.WAV", "a.wav", "Z.wav"):
        sound(tmp_path / name)
    for workers in (0, 1, 4):
        assert names(scan(tmp_path, workers)) == ["Z.wav", "a.wav", "a/b/c.WAV", "a/z.flac", "b.wav"]


def test_seconds_and_rates_are_summed_up(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", 16_000)
    sound(tmp_path / "b.wav", 4_000, 8_000)
    sound(tmp_path / "c.flac", 8_000)
    found = scan(str(tmp_path))
    assert found.seconds == 2
    assert found.rates == Counter({16_000: 2, 8_000: 1})


def test_hidden_and_foreign_files_are_passed_over_in_silence(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    for name in (".b.wav", "._a.wav", ".git/c.wav", "notes.txt", "a.wav.bak"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no sound")
    found = scan(tmp_path)
    assert names(found) == ["a.wav"]
    assert not found.refused


@pytest.mark.skipif(os.name == "nt", reason="symbolic links")
def test_links_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    sound(tmp_path / "other" / "far.wav")
    sound(tmp_path / "root" / "deep" / "near.wav")
    (tmp_path / "root" / "deep" / "up").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "self").symlink_to("self")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "other")
    (tmp_path / "root" / "link2").symlink_to(tmp_path / "other")
    (tmp_path / "root" / "lost.wav").symlink_to(tmp_path / "nowhere")
    found = scan(tmp_path / "root")
    assert names(found) == ["deep/near.wav", "link/far.wav"]
    assert len(found.refused) == 1
    assert "lost.wav: cannot be opened" in found.refused[0]


def test_a_single_file_is_a_scan_of_one_whatever_its_ending(tmp_path: Path) -> None:
    path = sound(tmp_path / "anything")
    found = scan(path)
    assert (found.root, names(found), found.refused) == (tmp_path, ["anything"], ())


@pytest.mark.parametrize("frames", [1, 2, 159])
def test_what_is_too_short_to_learn_from_is_refused(tmp_path: Path, frames: int) -> None:
    path = sound(tmp_path / "a.wav", frames)
    with pytest.raises(InputError, match="too short"):
        scan(path)
    sound(tmp_path / "b.wav", 160)
    assert names(scan(tmp_path)) == ["b.wav"]


def test_a_folder_without_use_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        scan(tmp_path / "missing")
    with pytest.raises(InputError, match="no sound files"):
        scan(tmp_path)
    (tmp_path / "a.wav").write_bytes(b"")
    (tmp_path / "b.wav").write_text("text")
    with pytest.raises(InputError, match=r"2 refused; the first: .*a\.wav: is empty") as caught:
        scan(tmp_path)
    assert "\n" not in str(caught.value)


def test_progress_counts_every_file_to_the_end(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        sound(tmp_path / name)
    (tmp_path / "bad.wav").write_bytes(b"")
    seen: list[tuple[int, int]] = []
    scan(tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_an_interrupted_scan_does_not_decode_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[Path] = []

    def slowly(path: Path) -> Recording:
        decoded.append(path)
        time.sleep(0.01)
        return Recording(path, 16_000, 1, 16_000)

    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wavenet.data.folder.check", slowly)
    for i in range(200):
        (tmp_path / f"{i}.wav").touch()
    with pytest.raises(KeyboardInterrupt):
        scan(tmp_path, progress=interrupt)
    assert len(decoded) < 50


MANY = [f"/data/{speaker}/{i}.wav" for speaker in "abcd" for i in range(250)]


def test_a_split_holds_back_about_the_share_asked_for_and_loses_no_file() -> None:
    for share in (0.05, 0.1, 0.5):
        train, held = split(pretend(*MANY), share)
        assert abs(len(held) / 1000 - share) < 0.03
        assert sorted([*train, *held], key=str) == sorted(pretend(*MANY), key=str)


def test_files_keep_their_side_when_others_come_or_go_and_when_the_folder_moves() -> None:
    train, held = (set(side) for side in split(pretend(*MANY), root="/data"))
    fewer_train, fewer_held = split(pretend(*MANY[::3]), root="/data")
    assert set(fewer_train) <= train
    assert set(fewer_held) <= held
    _, moved = split(pretend(*(f"/elsewhere{path}" for path in MANY)), root="/elsewhere/data")
    assert [Path("/") / each.path.relative_to("/elsewhere") for each in moved] == [
        each.path for each in split(pretend(*MANY), root="/data")[1]
    ]


def test_no_side_is_empty_when_there_are_two_files_or_more() -> None:
    for first in range(40):
        for share in (0.001, 0.1, 0.999):
            train, held = split(pretend(f"/d/{first}.wav", f"/d/{first + 1}.wav"), share)
            assert len(train) == len(held) == 1


def test_a_single_file_is_for_training_and_a_share_of_none_holds_none_back() -> None:
    one, two = pretend("/d/a.wav"), pretend("/d/a.wav", "/d/b.wav")
    assert split(one) == (one, [])
    assert split(two, 0) == (two, [])
    with pytest.raises(InputError, match="validation"):
        split(two, 1.0)


def test_a_name_spelled_by_macos_falls_on_the_same_side() -> None:
    composed, decomposed = "\u00e9", "e\u0301"
    for i in range(50):
        sides = [
            [len(side) for side in split(pretend(f"/d/{i}{letter}.wav", f"/d/{i}x.wav", f"/d/{i}y.wav"), 0.4)]
            for letter in (composed, decomposed)
        ]
        assert sides[0] == sides[1]


def test_a_scan_of_a_moved_folder_splits_alike(tmp_path: Path) -> None:
    for i in range(30):
        sound(tmp_path / "one" / f"{i}.wav", 160)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    held = []
    for name in ("one", "two"):
        found = scan(tmp_path / name)
        held.append([each.path.name for each in split(found.recordings, root=found.root)[1]])
    assert held[0] == held[1]
