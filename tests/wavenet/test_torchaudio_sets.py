"""A data set of torchaudio trains like a folder: each item's own file, through the gate, and no download."""

import socket
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torchaudio
from torchaudio import datasets

from shared.config import from_json, to_json
from shared.errors import InputError
from wavenet.audio import read
from wavenet.data.torchaudio_sets import SILENT, TorchaudioSet, parse

NAMES = [name for name in datasets.__all__ if name not in SILENT]


def sound(path: Path, frames: int = 1600, rate: int = 16_000, form: str = "WAV") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng([frames, *path.stem.encode()]).uniform(-0.5, 0.5, frames)
    soundfile.write(path, noise, rate, format=form)
    return path


@pytest.fixture
def yesno(tmp_path: Path) -> Path:
    for number in range(20):
        digits = "_".join(f"{number:08b}")
        sound(tmp_path / "waves_yesno" / f"{digits}.wav", frames=800 + number, rate=8_000)
    return tmp_path


def ljspeech(root: Path, *files: Path) -> Path:
    table = root / "LJSpeech-1.1" / "metadata.csv"
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text("".join(f"{file.stem}|said|said\n" for file in files))
    return root


def tedlium(root: Path, talk: str, *spans: tuple[float, float]) -> Path:
    """A talk as WAV in spite of its ending; the gate goes by first bytes."""
    base = root / "TEDLIUM_release1" / "train"
    sound(base / "sph" / f"{talk}.sph", frames=32_000)
    (base / "stm").mkdir(exist_ok=True)
    lines = "".join(f"{talk} 1 someone {begin} {end} <o> words\n" for begin, end in spans)
    (base / "stm" / f"{talk}.stm").write_text(lines)
    return base / "sph" / f"{talk}.sph"


def test_every_item_is_a_track_with_the_very_samples_of_its_file(yesno: Path) -> None:
    tracks = TorchaudioSet(name="YESNO", root=str(yesno)).load(0.2)
    files = sorted((yesno / "waves_yesno").glob("*.wav"))
    everything = {track.name: track for track in [*tracks.train, *tracks.validation]}
    assert sorted(everything) == [str(file) for file in files]
    assert tracks.remarks == []
    for file in files:
        track = everything[str(file)]
        assert track.samples == 2 * soundfile.info(file).frames  # 8 kHz becomes 16 kHz
        assert np.array_equal(track.read(100, 300), read(file)[100:400])


def test_the_split_is_by_file_and_stays_when_the_folder_moves(yesno: Path, tmp_path_factory) -> None:
    before = TorchaudioSet(name="YESNO", root=str(yesno)).load(0.3)
    moved = yesno.rename(tmp_path_factory.mktemp("elsewhere") / "data")
    after = TorchaudioSet(name="YESNO", root=str(moved)).load(0.3)
    held = [Path(track.name).name for track in before.validation]
    assert held == [Path(track.name).name for track in after.validation]
    assert 0 < len(held) < len(before.train)
    assert not {track.name for track in before.train} & {track.name for track in before.validation}


def test_without_validation_everything_is_for_training(yesno: Path) -> None:
    tracks = TorchaudioSet(name="YESNO", root=str(yesno)).load(0)
    assert (len(tracks.train), len(tracks.validation)) == (20, 0)


def test_progress_counts_the_files(yesno: Path) -> None:
    seen: list[tuple[int, int]] = []
    TorchaudioSet(name="YESNO", root=str(yesno)).load(0.1, progress=lambda *counts: seen.append(counts))
    assert seen == [(number, 20) for number in range(1, 21)]


def test_the_name_may_be_written_in_any_case_and_survives_json(yesno: Path) -> None:
    source = TorchaudioSet(name="yesno", root=str(yesno))
    assert from_json(TorchaudioSet, to_json(source)) == source
    assert to_json(source)["type"] == "TorchaudioSet"
    assert len(source.load(0).train) == 20


def test_files_and_items_that_cannot_be_used_are_named_and_the_rest_is_used(yesno: Path) -> None:
    damaged = yesno / "waves_yesno" / "1_1_1_1_1_1_1_1.wav"
    damaged.write_bytes(b"<!doctype html>")
    sound(yesno / "waves_yesno" / "readme.wav")  # a name that is no list of labels
    (yesno / "waves_yesno" / "0_0_0_0_0_0_0_0.wav").write_bytes(b"")
    tracks = TorchaudioSet(name="YESNO", root=str(yesno)).load(0)
    assert len(tracks.train) == 19
    assert all(line.startswith("left out: ") and "\n" not in line for line in tracks.remarks)
    assert len(tracks.remarks) == 3
    assert any(str(damaged) in line and "HTML" in line for line in tracks.remarks)
    assert any("item 21 of YESNO: ValueError" in line and "'readme'" in line for line in tracks.remarks)


def test_warnings_about_a_file_in_use_are_passed_on(yesno: Path) -> None:
    quiet = yesno / "waves_yesno" / "1_1_1_1_1_1_1_1.wav"
    soundfile.write(quiet, np.zeros(8_000), 8_000)
    assert TorchaudioSet(name="YESNO", root=str(yesno)).load(0).remarks == [f"{quiet}: silence"]


def test_data_without_one_usable_sound_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "waves_yesno").mkdir()
    with pytest.raises(InputError, match=r"no usable sound in YESNO, 0 left out; ") as empty:
        TorchaudioSet(name="YESNO", root=str(tmp_path)).load(0.1)
    (tmp_path / "waves_yesno" / "0_1.wav").write_bytes(b"")
    with pytest.raises(InputError, match=r"1 left out; the first: .*0_1\.wav: is empty") as refused:
        TorchaudioSet(name="YESNO", root=str(tmp_path)).load(0.1)
    assert "\n" not in f"{empty.value}{refused.value}"


def test_a_set_of_another_layout_loads_in_the_order_of_its_table(tmp_path: Path) -> None:
    folder = tmp_path / "LJSpeech-1.1" / "wavs"
    files = [sound(folder / f"LJ{number:03}.wav", rate=22_050) for number in (3, 1, 2)]
    ljspeech(tmp_path, *files, folder / "LJ009.wav")
    sound(folder / "not_in_the_table.wav")
    tracks = TorchaudioSet(name="LJSpeech", root=str(tmp_path)).load(0)
    assert [track.name for track in tracks.train] == [str(file) for file in files]
    (remark,) = tracks.remarks
    assert "LJ009.wav: cannot be opened" in remark


def test_a_single_file_is_cut_by_time(tmp_path: Path) -> None:
    file = sound(tmp_path / "LJSpeech-1.1" / "wavs" / "LJ001.wav")
    tracks = TorchaudioSet(name="LJSPEECH", root=str(ljspeech(tmp_path, file))).load(0.25)
    assert [track.samples for track in (*tracks.train, *tracks.validation)] == [1200, 400]
    assert np.array_equal(tracks.validation[0].read(0, 400), read(file)[1200:])


def test_the_words_of_speechcommands_are_found_two_folders_down(tmp_path: Path) -> None:
    root = tmp_path / "SpeechCommands" / "speech_commands_v0.02"
    files = [sound(root / word / f"0a_nohash_{take}.wav") for word in ("no", "yes") for take in (0, 1)]
    sound(root / "_background_noise_" / "hum.wav")
    tracks = TorchaudioSet(name="SPEECHCOMMANDS", root=str(tmp_path)).load(0)
    assert [track.name for track in tracks.train] == [str(file) for file in files]


def test_an_item_that_is_a_stretch_of_a_file_is_a_part_of_its_track(tmp_path: Path) -> None:
    talk = tedlium(tmp_path, "talk", (0.25, 0.5), (1.0, 1.75), (1.0, 1.75), (1.9, 2.5), (3.0, 4.0))
    tracks = TorchaudioSet(name="TEDLIUM", root=str(tmp_path)).load(0)
    wave = read(talk)
    spans = [(4_000, 8_000), (16_000, 28_000), (30_400, 32_000)]  # once each, and never past the end
    assert [track.samples for track in tracks.train] == [end - begin for begin, end in spans]
    for track, (begin, end) in zip(tracks.train, spans, strict=True):
        assert np.array_equal(track.read(7, 500), wave[begin:end][7:507])
    (remark,) = tracks.remarks
    assert f"{talk}: an item lies beyond its end" in remark


def test_all_stretches_of_a_file_share_its_side_of_the_split(tmp_path: Path) -> None:
    for talk in ("a", "b", "c", "d"):
        tedlium(tmp_path, talk, (0.0, 0.5), (0.5, 1.0), (1.0, 1.5))
    tracks = TorchaudioSet(name="TEDLIUM", root=str(tmp_path)).load(0.3)
    train, held = ({track.name for track in side} for side in (tracks.train, tracks.validation))
    assert train
    assert held
    assert not train & held
    assert len(tracks.train) + len(tracks.validation) == 12


@pytest.mark.parametrize("name", NAMES)
def test_where_the_data_are_missing_one_line_says_what_was_expected_and_nothing_is_downloaded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("the network was asked"))
    expected = rf"^{tmp_path}: does not hold {name}, {tmp_path}.* is missing; "
    with pytest.raises(InputError, match=expected) as caught:
        TorchaudioSet(name=name, root=str(tmp_path)).load(0.1)
    assert "\n" not in str(caught.value)


def test_voxceleb_does_not_fetch_its_list_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("the network was asked"))
    sound(tmp_path / "wav" / "id10001" / "abc" / "00001.wav")
    with pytest.raises(InputError, match=r"iden_split\.txt is missing"):
        TorchaudioSet(name="VoxCeleb1Identification", root=str(tmp_path)).load(0.1)


def test_a_root_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such folder; --root is the folder that holds YESNO"):
        TorchaudioSet(name="YESNO", root=str(tmp_path / "nowhere")).load(0.1)


def test_a_table_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "LJSpeech-1.1" / "wavs").mkdir(parents=True)
    (tmp_path / "LJSpeech-1.1" / "metadata.csv").write_bytes(b"\xff\xfe\n\xff")
    with pytest.raises(InputError, match=r"LJSPEECH cannot be listed \(UnicodeDecodeError: .*\); ") as caught:
        TorchaudioSet(name="LJSPEECH", root=str(tmp_path)).load(0.1)
    assert "\n" not in str(caught.value)


def test_a_table_that_points_outside_of_the_root_is_not_followed(tmp_path: Path) -> None:
    outside = sound(tmp_path / "outside.wav")
    root = ljspeech(tmp_path / "root", outside.with_suffix(""))
    table = root / "LJSpeech-1.1" / "metadata.csv"
    table.write_text(f"{outside.with_suffix('')}|a|a\nLJ001|b|b\n")
    sound(root / "LJSpeech-1.1" / "wavs" / "LJ001.wav")
    tracks = TorchaudioSet(name="LJSPEECH", root=str(root)).load(0)
    assert len(tracks.train) == 1
    assert f"{outside}, lies outside of the data set" in tracks.remarks[0]


def test_torchaudio_is_left_as_it_was_even_after_an_error(yesno: Path) -> None:
    before = torchaudio.load, datasets.yesno.download_url_to_file
    TorchaudioSet(name="YESNO", root=str(yesno)).load(0)
    with pytest.raises(InputError):
        TorchaudioSet(name="LJSPEECH", root=str(yesno)).load(0)
    assert (torchaudio.load, datasets.yesno.download_url_to_file) == before


def test_an_unknown_name_gets_a_suggestion_and_the_list_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'libirspeech'; did you mean LIBRISPEECH\? There are ") as caught:
        TorchaudioSet(name="libirspeech", root=str(tmp_path)).load(0.1)
    assert all(name in str(caught.value) for name in NAMES)
    assert "CMUDict" not in str(caught.value)
    with pytest.raises(InputError, match=r"no data set '\?'; There are CMUARCTIC, "):
        TorchaudioSet(name="?", root=str(tmp_path)).load(0.1)


def test_the_command_line_names_a_set_and_its_root() -> None:
    assert parse("torchaudio:YESNO", "data") == TorchaudioSet(name="YESNO", root="data")
    for root in (None, ""):
        with pytest.raises(InputError, match=r"^torchaudio:YESNO: .*; add --root DIR$"):
            parse("torchaudio:YESNO", root)
    with pytest.raises(InputError, match=r"^torchaudio: : the name of a data set is missing"):
        parse("torchaudio: ", "data")
