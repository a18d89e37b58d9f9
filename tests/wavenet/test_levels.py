"""Silent ends are left out and levels made equal, whatever a recording's own level; nothing else is touched."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from shared.config import from_json, to_json
from shared.errors import InputError
from tests.wavenet.command_line import TINY, one_line_error
from wavenet import audio
from wavenet.cli import main
from wavenet.conditioning import Frames
from wavenet.data import Recordings, levels
from wavenet.data.conditions import Conditions
from wavenet.data.levels import measured, treated
from wavenet.data.recordings import recordings
from wavenet.data.tracks import ArrayTrack, Part, Track, Treated
from wavenet.mel import Mel
from wavenet.model import WaveNetConfig

SECOND = audio.RATE
MARGIN = round(levels.MARGIN * SECOND)


def tone(seconds: float, peak: float = 0.5) -> np.ndarray:
    return (peak * np.sin(2 * np.pi * 220 * np.arange(round(seconds * SECOND)) / SECOND)).astype(np.float32)


def noise(seconds: float, size: float = 1e-4) -> np.ndarray:
    return np.random.default_rng(0).normal(0, size, round(seconds * SECOND)).astype(np.float32)


def between(before: float, sound: np.ndarray, behind: float, size: float = 1e-4) -> np.ndarray:
    return np.concatenate([noise(before, size), sound, noise(behind, size)])


def loudness(wave: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.square(wave, dtype=np.float64).mean())))


def only(track: Track, **asked: float | None) -> Track:
    (after,), _ = treated([track], **{"trim": None, "level": None, **asked})
    return after


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "recordings"
    made.mkdir()
    for at in range(6):
        wave = between(0.2 + 0.01 * at, tone(0.4, 0.05 * (at + 1)), 0.3)
        soundfile.write(made / f"{at}.wav", wave, SECOND, subtype="FLOAT")
    return made


def test_what_is_left_out_is_silence_at_both_ends_but_for_a_margin() -> None:
    wave = between(1.0, np.concatenate([tone(0.3), noise(0.5), tone(0.3)]), 2.0)
    found = only(ArrayTrack("a", wave), trim=40)
    assert found.begin == SECOND - MARGIN
    assert found.begin + found.samples == pytest.approx(2.1 * SECOND + MARGIN, abs=levels.FRAME)
    assert np.array_equal(found.read(0, found.samples), wave[found.begin : found.begin + found.samples])


@pytest.mark.parametrize("gain", [1.0, 0.1, 1e-3])
def test_silence_is_measured_from_a_recordings_own_loudest_frame(gain: float) -> None:
    wave = between(0.5, tone(0.5), 0.5)
    kept = [only(ArrayTrack("a", each), trim=40) for each in (wave, wave * np.float32(gain))]
    assert (kept[0].begin, kept[0].samples) == (kept[1].begin, kept[1].samples)


def test_noise_is_silence_only_where_it_is_quieter_than_the_trim_asked_for() -> None:
    track = ArrayTrack("a", between(0.5, tone(0.5), 0.5, size=0.5 / np.sqrt(2) / 100))  # 40 dB below the tone
    assert only(track, trim=30).samples < track.samples
    assert only(track, trim=45).samples == track.samples


@pytest.mark.parametrize("wave", [np.zeros(5000, np.float32), noise(0.3), tone(0.02), np.ones(1, np.float32)])
def test_no_recording_is_lost_to_trimming(wave: np.ndarray) -> None:
    assert only(ArrayTrack("a", wave), trim=40).samples == len(wave)


def test_a_long_recording_is_read_in_windows_and_measured_as_if_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wave = between(1.3, tone(0.7), 0.9)
    asked = []

    class Watched(ArrayTrack):
        def read(self, start: int, samples: int) -> np.ndarray:
            asked.append(samples)
            return super().read(start, samples)

    expected = measured(ArrayTrack("a", wave))
    monkeypatch.setattr(levels, "WINDOW", 3000)
    assert measured(Watched("a", wave)) == expected
    assert max(asked) <= 3000
    assert sum(asked) == len(wave)


@pytest.mark.parametrize("peak", [0.003, 0.05, 0.9])
def test_the_sounding_part_comes_to_the_level_asked_for(peak: float) -> None:
    found = only(ArrayTrack("a", between(0.5, tone(1.0, peak), 0.5, size=1e-7)), level=-25)
    sounding = found.read(SECOND // 2, SECOND)
    assert loudness(sounding) == pytest.approx(-25, abs=0.1)
    assert found.samples == 2 * SECOND  # nothing is left out unless asked for


def test_a_gain_stops_where_a_peak_would_pass_its_bound() -> None:
    wave = tone(1.0, 0.01)
    wave[5000] = 0.7
    found = only(ArrayTrack("a", wave), level=-10)
    peak = np.abs(found.read(0, found.samples)).max()
    assert 20 * np.log10(peak) == pytest.approx(levels.HIGHEST_PEAK, abs=1e-4)


def test_silence_is_not_made_into_noise() -> None:
    hiss = ArrayTrack("hiss", noise(0.5, 1e-5))
    assert only(hiss, level=-23).gain == pytest.approx(10 ** (levels.MOST_GAIN / 20))
    assert only(ArrayTrack("zeros", np.zeros(8000, np.float32)), level=-23).gain == 1


def test_it_is_said_how_much_was_left_out_and_of_which_more_than_half() -> None:
    tracks = [ArrayTrack("full", tone(2.0)), ArrayTrack("empty", between(1.0, tone(0.2), 1.0))]
    after, (total, named) = treated(tracks, 40, None)
    left = sum(track.samples for track in tracks) - sum(track.samples for track in after)
    assert f"{left / SECOND:.1f} of 4.2 s left out" in total
    assert "1 of 2 recordings" in total
    assert "empty (86%)" in named
    assert "full" not in named


def test_it_is_said_which_recordings_do_not_reach_the_level() -> None:
    tracks = [ArrayTrack("fine", tone(0.5, 0.1)), ArrayTrack("hiss", noise(0.5, 1e-5)), ArrayTrack("sine", tone(0.5))]
    _, remarks = treated(tracks, None, -3)
    assert [text for text in remarks if "hiss" in text]
    assert not [text for text in remarks if "fine" in text]
    assert any(text.startswith("2 stay below") for text in remarks)


def test_no_recording_changes_its_side_and_one_alone_is_cut_by_time_where_it_sounds(folder: Path) -> None:
    plain, trimmed = Recordings(path=str(folder)), Recordings(path=str(folder), trim=40, level=-23)
    before, after = plain.load(0.3), trimmed.load(0.3)
    for side in ("train", "validation"):
        assert [each.name for each in getattr(before, side)] == [each.name for each in getattr(after, side)]
        assert all(a.samples < b.samples for a, b in zip(getattr(after, side), getattr(before, side), strict=True))
    one = Recordings(path=str(folder / "1.wav"), trim=40).load(0.25)
    (train,), (held,) = one.train, one.validation
    (whole,) = one.whole
    assert isinstance(whole, Treated)
    joined = np.concatenate([part.read(0, part.samples) for part in (train, held)])
    assert np.array_equal(joined, whole.read(0, whole.samples))


def test_without_treatment_a_data_set_has_the_fingerprint_it_always_had(folder: Path) -> None:
    source = Recordings(path=str(folder))
    assert from_json(Recordings, {"path": str(folder)}) == source
    seen = {
        replace(source, **asked).load(0.3).fingerprint
        for asked in ({}, {"trim": 40.0}, {"trim": 20.0}, {"level": -23.0}, {"level": -20.0})
    }
    assert len(seen) == 4  # at 20 and at 40 dB the same is left out here
    wave, _ = soundfile.read(folder / "0.wav", dtype="float32")
    levelled = replace(source, level=-23.0)
    before = levelled.load(0.3).fingerprint, source.load(0.3).fingerprint
    soundfile.write(folder / "0.wav", wave / 2, SECOND, subtype="FLOAT")
    after = levelled.load(0.3).fingerprint, source.load(0.3).fingerprint
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_features_keep_their_place_in_a_trimmed_recording(folder: Path, tmp_path: Path) -> None:
    mel = Mel(channels=8, n_fft=1024, hop=200)
    config = WaveNetConfig(dilations=(1, 2), frames=mel)
    stored = replace(config, frames=Frames(channels=mel.channels, hop=mel.hop))
    for path in folder.glob("*.wav"):
        np.save(tmp_path / f"{path.stem}.npy", mel.of(torch.from_numpy(audio.read(path))).numpy())
    tracks = Recordings(path=str(folder), trim=40, step=200).load(0.3).train
    told = Conditions(stored, frames=str(tmp_path))
    told.check(tracks)
    for track in tracks:
        assert track.begin % 200 == 0
        found = told.of([(track, 1000)], 100, 600).frames
        first = (track.begin + 900) // 200 - 2
        expected = mel.of_track(track.whole, first, first + found.shape[2])
        torch.testing.assert_close(found[0], expected)
    odd = Part(tracks[0].whole, 123, 4000)
    with pytest.raises(InputError, match="within a frame"):
        told.of([(odd, 1000)], 100, 600)


def test_a_vocoder_hears_frames_of_the_levelled_sound(folder: Path) -> None:
    config = WaveNetConfig(dilations=(1, 2), frames=Mel(channels=8))
    plain, louder = (Recordings(path=str(folder), level=each).load(0.3).train[0] for each in (None, -15.0))
    before, after = (Conditions(config).of([(track, 5000)], 10, 800).frames for track in (plain, louder))
    heard = before > np.log(1e-4)  # far from the floor of the logarithm
    assert heard.any()
    torch.testing.assert_close((after - before)[heard], torch.full_like(before[heard], np.log(louder.gain)))


def test_prepared_copies_are_what_a_run_would_train_on(folder: Path, tmp_path: Path, capsys) -> None:
    copies = tmp_path / "copies"
    main(["prepare", str(folder), "-o", str(copies), "--trim", "35", "--level", "-20"])
    assert "left out" in capsys.readouterr().err
    trained = Recordings(path=str(folder), trim=35, level=-20).load(0.3)
    prepared = Recordings(path=str(copies)).load(0.3)
    for mine, copied in zip(trained.train, prepared.train, strict=True):
        assert mine.samples == copied.samples
        wave = mine.read(0, mine.samples)
        np.testing.assert_allclose(wave, copied.read(0, copied.samples), atol=2**-15)


def test_a_run_keeps_its_treatment_for_resuming_and_evaluation(folder: Path, tmp_path: Path, capsys) -> None:
    run, quick = tmp_path / "run", ["--steps", "1", "--threads", "1", *TINY]
    assert main(["train", str(folder), "-o", str(run), "--trim", "--level", *quick]) == 0
    told = capsys.readouterr().err
    assert "40 dB below" in told
    assert "level -23 dBFS" in told
    assert main(["train", "--resume", str(run), "--steps", "2", "--threads", "1"]) == 0
    assert "not what they were" not in capsys.readouterr().err
    assert main(["evaluate", str(run), str(folder)]) == 0
    assert "(validation)" in capsys.readouterr().out
    line = one_line_error(capsys, ["train", "--resume", str(run), "--trim"])
    assert "--resume takes everything" in line


def test_a_source_says_which_trim_and_level_it_takes() -> None:
    source = Recordings(path="a", trim=30, level=-20)
    assert from_json(Recordings, to_json(source)) == source
    for asked in ({"trim": 0.0}, {"trim": 121.0}, {"level": 0.0}, {"level": -61.0}):
        with pytest.raises(InputError, match="lies"):
            recordings("a", **asked)
    with pytest.raises(ValueError, match="step"):
        Recordings(path="a", step=0)
