"""A WAV is whole at every instant, for every reader, whoever stops the writer."""

import io
import os
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from shared.errors import InputError
from wavenet.wav import WavWriter, check_free, to_bytes


def noise(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, frames)


def by_wave(source: Path | io.BytesIO) -> np.ndarray:
    with wave.open(str(source) if isinstance(source, Path) else source) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def by_soundfile(source: Path | io.BytesIO) -> np.ndarray:
    samples, rate = soundfile.read(source, dtype="int16")
    assert rate == 16_000
    return samples


def test_after_every_commit_every_reader_finds_exactly_the_samples_so_far(tmp_path: Path) -> None:
    path, all_samples = tmp_path / "a.wav", noise(3001)
    writer = WavWriter(path)
    assert len(by_wave(path)) == len(by_soundfile(path)) == 0
    for end in (0, 1, 2, 1000, 3001):
        before = len(by_wave(path))
        writer.write(all_samples[writer.frames : end])
        assert writer.frames == end
        assert len(by_wave(path)) == len(by_soundfile(path)) == before
        writer.commit()
        assert np.array_equal(by_wave(path), by_soundfile(path))
        assert path.read_bytes() == to_bytes(all_samples[:end])
    writer.close()
    writer.close()
    assert path.read_bytes() == to_bytes(all_samples)


def test_a_write_cut_short_anywhere_leaves_the_samples_before_it(tmp_path: Path) -> None:
    before, after = to_bytes(noise(50)), to_bytes(noise(80))
    for cut in range(61):  # bytes appended; the header is still the old one
        (tmp_path / "a.wav").write_bytes(before + after[len(before) : len(before) + cut])
        assert np.array_equal(by_wave(tmp_path / "a.wav"), by_wave(io.BytesIO(before)))
        assert np.array_equal(by_soundfile(tmp_path / "a.wav"), by_wave(io.BytesIO(before)))


def test_16_bit_sound_comes_back_unchanged() -> None:
    steps = np.arange(-32_768, 32_768)
    assert np.array_equal(by_wave(io.BytesIO(to_bytes(steps / 32_768))), steps)


def test_values_are_rounded_and_what_is_out_of_range_is_clipped_and_counted(tmp_path: Path) -> None:
    with WavWriter(tmp_path / "a.wav") as writer:
        writer.write(np.array([0.4, 0.6, -0.6]) / 32_768)
        writer.write(np.array([1.0, -1.0, 1.5, -7.0], np.float32))
    assert writer.clipped == 2
    assert by_wave(tmp_path / "a.wav").tolist() == [0, 1, -1, 32_767, -32_768, 32_767, -32_768]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_no_number_is_refused_and_nothing_of_it_written(tmp_path: Path, bad: float) -> None:
    with WavWriter(tmp_path / "a.wav") as writer:
        writer.write(np.zeros(10))
        with pytest.raises(InputError, match="sample 11 is NaN or infinite"):
            writer.write(np.array([0, bad]))
        writer.write(np.zeros(5))
    assert len(by_wave(tmp_path / "a.wav")) == 15


@pytest.mark.parametrize("bad", [np.zeros((1, 5)), np.zeros(5, np.int16), np.float32(0)])
def test_other_shapes_and_integers_are_a_programming_error(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="floats of shape"):
        to_bytes(bad)


def test_an_existing_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"precious")
    with pytest.raises(InputError, match="--force"):
        WavWriter(path)
    assert path.read_bytes() == b"precious"
    with WavWriter(path, overwrite=True) as writer:
        writer.write(noise(3))
    assert path.read_bytes() == to_bytes(noise(3))


def test_a_place_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "a.wav", tmp_path):
        with pytest.raises(InputError) as caught:
            WavWriter(path, overwrite=True)
        assert str(caught.value).startswith(f"{path}: cannot be written")
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line() -> None:
    with pytest.raises(InputError, match="No space left"):
        WavWriter("/dev/full", overwrite=True)


def test_a_stream_that_cannot_go_back_is_read_to_its_end() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.content = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: memoryview) -> int:
            self.content += data[:7]  # as a full pipe does, it takes a part
            return min(7, len(data))

    pipe = Pipe()
    with WavWriter(pipe) as writer:
        writer.write(noise(30))
        writer.write(noise(20))
        assert len(pipe.content) == 144
    assert not pipe.closed
    expected = by_wave(io.BytesIO(to_bytes(np.concatenate([noise(30), noise(20)]))))
    assert np.array_equal(by_wave(io.BytesIO(pipe.content)), expected)
    assert np.array_equal(by_soundfile(io.BytesIO(pipe.content)), expected)


def test_a_reader_that_leaves_is_not_reported_as_a_bad_file() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb", buffering=0) as pipe:
        wav = WavWriter(pipe)
        os.close(reader)
        with pytest.raises(BrokenPipeError):
            wav.write(np.zeros(10))


def test_what_somebody_writes_is_not_free_and_what_is_not_there_is(tmp_path):
    check_free(tmp_path / "a.wav")
    with WavWriter(tmp_path / "a.wav"), pytest.raises(InputError, match="another process"):
        check_free(tmp_path / "a.wav")
    check_free(tmp_path / "a.wav")
