"""What the gate lets through, what it says about it, and that a window is a window of the whole."""

import math
import os
import pickle
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from shared.errors import InputError
from wavenet import audio

DATA = Path(__file__).parents[3] / "shared" / "data"
BAD = DATA / "bad"


needs_bad = pytest.mark.skipif(not BAD.is_dir(), reason=f"{BAD} is not there")


def noise(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, frames).astype(np.float32)


def tone(hertz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * math.pi * hertz * np.arange(int(rate * seconds)) / rate)


def decibels(wave: np.ndarray) -> float:
    """Of the middle half, against a sine of 0.5."""
    middle = wave[len(wave) // 4 : -len(wave) // 4].astype(np.float64)
    return 10 * math.log10(np.mean(middle**2) / 0.125 + 1e-20)


def is_one_line(error: BaseException, path: Path) -> bool:
    text = str(error)
    return "\n" not in text and text.startswith(f"{path}: ") and "; " in text


@needs_bad
@pytest.mark.parametrize(
    ("file", "samples"),
    [
        ("truncated.wav", 6000),
        ("truncated_mid_sample.wav", 6000),
        ("absurd_sizes.wav", 1000),
        ("extra_chunks.wav", 16000),
        ("trailing_garbage.wav", 16000),
        ("rate_192000.wav", 8000),
        ("rate_4000.wav", 16000),
        ("rate_11127.wav", 16000),
        ("stereo.wav", 16000),
        ("truncated.mp3", 6383),
    ],
)
def test_the_length_is_that_of_the_sound_and_not_of_the_header(file: str, samples: int) -> None:
    assert len(audio.read(BAD / "audio" / file)) == audio.check(BAD / "audio" / file).samples == samples


@needs_bad
@pytest.mark.parametrize(
    ("file", "hint"),
    [
        ("lfs_pointer.wav", "git lfs pull"),
        ("html_named.wav", "download"),
        ("folder.wav", "is a folder"),
        ("zero_bytes.wav", "is empty"),
        ("._good_reference.wav", "AppleDouble"),
        ("float_nan.wav", "0.250 s"),
        ("huge_duration.wav", "1 Hz"),
        ("ima_adpcm.wav", "stored as IMA ADPCM"),
        ("absurd_length.flac", "4,294,968 seconds"),
    ],
)
def test_the_error_says_what_is_wrong_and_what_to_do(file: str, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        audio.check(BAD / "audio" / file)


@needs_bad
@pytest.mark.parametrize("file", ["extra_chunks.wav", "trailing_garbage.wav", "pcm_24bit.wav", "flac_named.wav"])
def test_the_same_sound_in_another_wrapping_reads_the_same(file: str) -> None:
    same = audio.read(BAD / "audio" / file) - audio.read(BAD / "audio" / "good_reference.wav")
    assert np.abs(same).max() < 1e-4


WINDOWED = [(rate, "FLAC", "PCM_16") for rate in (1000, 8000, 11127, 16000, 22050, 44100, 48000, 192000)]
WINDOWED += [
    (44100, "WAV", "FLOAT"),
    (22050, "AIFF", "PCM_24"),
    (8000, "AU", "ULAW"),
    (8000, "AIFF", "ALAW"),
]
WINDOWED += [(44100, "OGG", "VORBIS"), (24000, "OGG", "OPUS"), (22050, "MP3", "MPEG_LAYER_III")]


@pytest.mark.parametrize(("rate", "form", "subtype"), WINDOWED)
def test_a_window_equals_that_part_of_the_whole(tmp_path: Path, rate: int, form: str, subtype: str) -> None:
    path = tmp_path / "sound"  # no ending: content decides
    soundfile.write(path, noise(3 * min(rate, 48000)), rate, format=form, subtype=subtype)
    recording = audio.check(path)
    whole = audio.read(recording)
    assert len(whole) == recording.samples
    draws = np.random.default_rng(rate)
    windows = [(int(draws.integers(0, len(whole) + 9)), int(draws.integers(0, 9000))) for _ in range(12)]
    for start, samples in [
        *windows,
        (0, 1),
        (len(whole) - 1, 5),
        (len(whole), 5),
        (len(whole) + 99, 5),
        (7, 0),
    ]:
        part = audio.read(recording, start, samples)
        assert part.shape == whole[start : start + samples].shape
        assert np.abs(part - whole[start : start + samples]).max(initial=0) < 1e-6
    assert np.array_equal(audio.read(recording, 100), audio.read(recording, 100, len(whole)))


def test_the_law_holds_across_the_pieces_in_which_a_long_file_is_resampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "a.wav", noise(100_000), 22_050)
    recording = audio.check(tmp_path / "a.wav")
    whole = audio.read(recording)
    monkeypatch.setattr(audio, "STRIDE", 1000)
    monkeypatch.setattr(audio, "BLOCK", 777)
    assert np.abs(audio.read(recording) - whole).max() < 1e-6
    assert audio.check(tmp_path / "a.wav") == recording


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000])
def test_what_lies_above_8_khz_is_removed_and_not_folded_down(tmp_path: Path, rate: int) -> None:
    for hertz in (8_200, 9_000, 10_500):
        soundfile.write(tmp_path / "a.wav", tone(hertz, rate), rate, subtype="FLOAT")
        assert decibels(audio.read(tmp_path / "a.wav")) < -90


@pytest.mark.parametrize(
    ("rate", "hertz"), [(44_100, 50), (22_050, 7_000), (44_100, 7_000), (8_000, 3_400), (11_127, 5_000)]
)
def test_what_lies_below_is_kept(tmp_path: Path, rate: int, hertz: float) -> None:
    soundfile.write(tmp_path / "a.wav", tone(hertz, rate), rate, subtype="FLOAT")
    assert abs(decibels(audio.read(tmp_path / "a.wav"))) < 0.1


def test_no_ratio_has_terms_over_a_thousand_or_bends_pitch_by_a_cent() -> None:
    for rate in [*range(1000, 50_000, 7), *range(50_000, 768_001, 997), 767_600]:
        up, down = audio.ratio(rate)
        assert max(up, down) <= 1000
        assert abs(1200 * math.log2(up / down * rate / 16_000)) < 0.91


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = noise(2000, 1), noise(2000, 2)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16_000, subtype="FLOAT")
    assert np.allclose(audio.read(tmp_path / "a.wav"), (left + right) / 2, atol=1e-7)


def test_over_range_is_clipped_and_said(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 10 * noise(2000), 16_000, subtype="FLOAT")
    assert "clipped to [-1, 1]" in audio.check(tmp_path / "a.wav").warnings[0]
    assert np.allclose(audio.read(tmp_path / "a.wav"), np.clip(10 * noise(2000), -1, 1))


def test_a_header_that_a_killed_writer_left_is_told_from_an_empty_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(8000), 16_000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[40:44] = bytes(4)
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(InputError, match="its writer was stopped"):
        audio.check(tmp_path / "a.wav")


def test_a_file_that_vanishes_or_changes_after_the_check_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(8000), 16_000)
    recording = audio.check(path)
    for other in ((noise(100), 16_000), (noise(8000), 8_000)):
        soundfile.write(path, *other)
        with pytest.raises(InputError, match="has changed") as caught:
            audio.read(recording)
        assert is_one_line(caught.value, path)
    path.unlink()
    with pytest.raises(InputError, match="No such file") as caught:
        audio.read(recording, 0, 10)
    assert is_one_line(caught.value, path)


@pytest.mark.skipif(os.name == "nt", reason="POSIX names and pipes")
def test_strange_names_load_and_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    for name in ("a\nb.wav", "-x.wav", "naïve é.wav", "\udcff.wav"):
        try:
            soundfile.write((tmp_path / "plain.wav"), noise(800), 16_000)
            shutil.copy(tmp_path / "plain.wav", tmp_path / name)
        except OSError:
            continue  # not a name on this file system
        assert len(audio.read(tmp_path / name)) == 800
    (tmp_path / "no\nsound.wav").write_text("text")
    with pytest.raises(InputError) as caught:
        audio.check(tmp_path / "no\nsound.wav")
    assert "\n" not in str(caught.value)
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(InputError, match="no regular file"):
        audio.check(tmp_path / "pipe.wav")


@pytest.mark.parametrize("channels", [32, 33])
def test_up_to_32_channels_are_read(tmp_path: Path, channels: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((400, channels)), 16_000)
    if channels <= 32:
        assert audio.check(tmp_path / "a.wav").channels == channels
    else:
        with pytest.raises(InputError, match="33 channels"):
            audio.check(tmp_path / "a.wav")


def test_a_window_of_a_ten_hour_file_takes_a_few_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(10), 44_100)
    bytes_of_sound = 2 * 44_100 * 36_000
    header = bytearray(path.read_bytes()[:44])
    header[40:44] = bytes_of_sound.to_bytes(4, "little")
    with path.open("wb") as file:  # sparse: it takes no room on the disk
        file.write(header)
        file.truncate(44 + bytes_of_sound)
    recording = audio.Recording(path, 44_100, 1, 44_100 * 36_000)
    audio.read(recording, 0, 1)
    tracemalloc.start()
    wave = audio.read(recording, 500_000_000, 16_000)
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()
    assert len(wave) == 16_000


def test_negative_windows_are_a_programming_error(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(800), 16_000)
    for window in ((-1, 5), (0, -5)):
        with pytest.raises(ValueError, match="count from 0"):
            audio.read(tmp_path / "a.wav", *window)


def test_a_recording_travels_to_another_process(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(800), 16_000)
    recording = audio.check(str(tmp_path / "a.wav"))
    assert pickle.loads(pickle.dumps(recording)) == recording


def test_importing_the_gate_is_light() -> None:
    heavy = "{'torch', 'torchaudio', 'soundfile'} & set(sys.modules)"
    code = f"import sys, wavenet.audio, wavenet.wav, wavenet.data.folder; sys.exit(bool({heavy}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0
