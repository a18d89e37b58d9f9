"""What tracks are told: labels from names, folders and tables, frames from sound and from files, at the right place."""

from pathlib import Path

import numpy as np
import pytest
import torch

from shared.errors import InputError
from tests.wavenet.networks import small_network
from wavenet.conditioning import Frames, Labels
from wavenet.data.conditions import Conditions, labels_of
from wavenet.data.excerpts import Excerpts, batch_of
from wavenet.data.tracks import ArrayTrack, Part
from wavenet.mel import Mel

MEL = Mel(channels=20, hop=100, n_fft=256, width=6, reach=1)


def tracks(*names: str) -> list[ArrayTrack]:
    return [ArrayTrack(name, np.zeros(10, np.float32)) for name in names]


DIGITS = [f"clips/{digit}_{who}_{take}.flac" for digit in range(3) for who in ("george", "lucas") for take in range(3)]


def test_the_speaker_is_the_part_of_the_names_that_repeats_and_is_no_number() -> None:
    found = labels_of(tracks(*DIGITS), "name")
    assert set(found.values()) == {"george", "lucas"}
    assert found["clips/2_lucas_0.flac"] == "lucas"
    assert set(labels_of(tracks(*DIGITS), "name:1").values()) == {"0", "1", "2"}


def test_folders_and_tables_name_speakers_too(tmp_path: Path) -> None:
    files = tracks("vctk/p225/p225_001.wav", "vctk/p226/p226_001.wav")
    assert set(labels_of(files, "folder").values()) == {"p225", "p226"}
    for name, text in (
        ("t.tsv", "file\twho\np225_001.wav\tann\np226_001\tbob\n"),
        ("t.csv", "p225_001,ann\np226_001,bob"),
    ):
        (tmp_path / name).write_text(text)
        assert list(labels_of(files, str(tmp_path / name)).values()) == ["ann", "bob"]


def test_a_part_has_the_label_of_its_file() -> None:
    whole = tracks(*DIGITS[:4])
    parts = [Part(Part(track, 2, 6), 1, 3) for track in whole]
    assert labels_of(parts, "name:2") == labels_of(whole, "name:2")


@pytest.mark.parametrize(
    ("files", "by", "reason"),
    [
        (["a/one.wav", "a/two.wav"], "name", "no part of names such as one.wav says who"),
        (["a/x_1.wav", "a/y_2.wav"], "name:3", "names have 2 parts"),
        (["a/x_1.wav", "a/x_2.wav"], "missing.csv", "no such file"),
    ],
)
def test_labels_that_cannot_be_found_are_said(files: list[str], by: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        labels_of(tracks(*files), by)


def test_a_recording_that_the_table_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,ann\n")
    with pytest.raises(InputError, match=r"lacks 1 recordings, such as b.wav"):
        labels_of(tracks("a.wav", "b.wav"), str(tmp_path / "t.csv"))


def test_names_that_occur_twice_are_told_apart_by_their_path_or_refused(tmp_path: Path) -> None:
    files, table = tracks("d/ann/0.wav", "d/bob/0.wav"), tmp_path / "t.csv"
    table.write_text("ann/0.wav,ann\nbob/0,bob\n")
    assert list(labels_of(files, str(table)).values()) == ["ann", "bob"]
    table.write_text("0,ann\n0,bob\n")
    with pytest.raises(InputError, match="gives 0 two labels"):
        labels_of(files, str(table))


def test_frames_of_another_hop_are_refused_before_training(tmp_path: Path) -> None:
    np.save(tmp_path / "sound.npy", np.zeros((20, 61), np.float32))  # a hop of 50
    conditions = Conditions(small_network(frames=Frames(channels=20, hop=100)).config, frames=str(tmp_path))
    with pytest.raises(InputError, match="holds 61 frames where 3,000 samples at a hop of 100 make 31"):
        conditions.check([sound()])
    np.save(tmp_path / "sound.npy", np.zeros((20, 32), np.float32))
    conditions.check([sound(), Part(sound(), 100, 50)])
    with pytest.raises(InputError, match="would serve two recordings"):
        conditions.check([sound(), ArrayTrack("y/sound.wav", sound().wave)])


def sound(samples: int = 3000) -> ArrayTrack:
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, samples).astype(np.float32)
    return ArrayTrack("x/sound.wav", wave)


@pytest.mark.parametrize("start", [0, 1, 777, 2960])
def test_an_excerpt_is_scored_as_in_the_whole_sound_with_its_mel(start: int) -> None:
    model = small_network(frames=MEL)
    conditions, field = Conditions(model.config), model.receptive_field
    whole = batch_of([(sound(), 0)], field, 3000, conditions)
    piece = batch_of([(sound(), start)], field, 50, conditions)
    expected = model.nll(whole.wave, whole.condition)[:, start : start + 50]
    found = model.nll(piece.wave, piece.condition)[:, : expected.shape[1]]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_stored_frames_do_as_the_sounds_own(tmp_path: Path) -> None:
    np.save(tmp_path / "sound.npy", MEL.of(torch.from_numpy(sound().wave)).numpy())
    plain = Frames(channels=20, hop=100, width=6, reach=1)
    stored = Conditions(small_network(frames=plain).config, frames=str(tmp_path))
    own = Conditions(small_network(frames=MEL).config)
    for track in (sound(), Part(sound(), 1000, 1000)):
        places = [(track, 130), (track, 890)]
        mine, theirs = stored.of(places, 40, 200), own.of(places, 40, 200)
        assert mine.begin == theirs.begin
        if not isinstance(track, Part):  # a part's own mel knows nothing of what lies around it
            torch.testing.assert_close(mine.frames, theirs.frames, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file; frames lie in NAME.npy"),
        (b"not numpy", "is no .npy file of numbers"),
        (np.zeros((3, 20), np.float32), "holds float32 of 3 × 20"),
        (np.zeros((20, 5), np.int64), "holds int64"),
        (np.full((20, 5), np.nan, np.float32), "NaN or infinite"),
        (np.array([object()]), "is no .npy file of numbers"),
    ],
)
def test_frames_that_cannot_be_used_are_refused(tmp_path: Path, content: object, reason: str) -> None:
    path = tmp_path / "sound.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    conditions = Conditions(small_network(frames=Frames(channels=20, hop=100)).config, frames=str(tmp_path))
    with pytest.raises(InputError, match=reason) as raised:
        conditions.check([sound()])
    assert "sound.npy" in str(raised.value)


def test_batches_carry_the_labels_of_their_tracks() -> None:
    files = [ArrayTrack(name, np.zeros(500, np.float32)) for name in DIGITS]
    model = small_network(labels=Labels(names=("george", "lucas"), width=3))
    conditions = Conditions(model.config, labels_of(files, "name"))
    excerpts = Excerpts(files, model.receptive_field, 50, 4, seed=0, conditions=conditions)
    places = [excerpts._place(item) for item in range(4)]
    expected = [int("lucas" in track.name) for track, _ in places]
    assert excerpts.batch(0).condition.label.tolist() == expected
