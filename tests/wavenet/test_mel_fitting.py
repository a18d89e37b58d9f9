"""What a vocoder draws is fitted to what it was told: nearer to it, no other length, piece by piece as in one go."""

import json

import numpy as np
import pytest
import torch

from wavenet import audio, mel_fitting
from wavenet.cli import main
from wavenet.data.plucks import melody
from wavenet.mel import Mel
from wavenet.mel_fitting import fits, fitted
from wavenet.model import WaveNet, WaveNetConfig
from wavenet.note import beside
from wavenet.wav import WavWriter

MEL = Mel(channels=20, hop=64, n_fft=256)


@pytest.fixture
def noise():
    return torch.randn(3000, generator=torch.Generator().manual_seed(0)) / 10


@pytest.fixture
def wanted():
    return MEL.of(torch.from_numpy(melody(3000 / audio.RATE, np.random.default_rng(1))))


def distance(wave, wanted):
    return float((MEL.of(wave) - wanted).abs().mean())


def test_every_round_brings_it_nearer(noise, wanted):
    rounds = [distance(fitted(noise, wanted, MEL, rounds), wanted) for rounds in (0, 1, 2, 4, 8, 16)]
    assert rounds == sorted(rounds, reverse=True)
    assert rounds[-1] < rounds[0] / 4


def test_what_fits_already_stays_as_it_is(noise):
    assert torch.allclose(fitted(noise, MEL.of(noise), MEL), noise, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 63, 64, 65, 255, 256, 257, 1000])
def test_the_length_stays(noise, wanted, samples):
    assert fitted(noise[:samples], wanted, MEL).shape == (samples,)


def test_a_long_sound_piece_by_piece_is_as_in_one_go(noise, wanted, monkeypatch):
    whole = fitted(noise, wanted, MEL, 2)
    monkeypatch.setattr(mel_fitting, "AT_ONCE", 16)
    assert torch.allclose(fitted(noise, wanted, MEL, 2), whole, atol=1e-6)


def test_behind_the_last_frame_that_one_goes_on(noise, wanted):
    longer = torch.cat([wanted[:, :20], wanted[:, 19:20].expand(-1, 60)], dim=1)
    assert torch.equal(fitted(noise, wanted[:, :20], MEL), fitted(noise, longer, MEL))


@pytest.mark.parametrize("samples", [1919, 1920, 1921, 1983])
def test_the_last_samples_are_as_loud_as_the_others(noise, samples):
    mel = Mel(channels=20, hop=128, n_fft=256)
    found = fitted(noise[:samples], mel.of(noise[:samples] / 2), mel)
    assert found.abs().max() < noise.abs().max()


def test_windows_that_hardly_overlap_leave_it_as_drawn(noise):
    mel = Mel(channels=20, hop=200, n_fft=256)
    assert not fits(mel)
    assert torch.equal(fitted(noise, mel.of(noise / 2), mel), noise)


@pytest.fixture(scope="module")
def vocoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocoder")
    told = WaveNetConfig(
        dilations=(1, 2, 4), residual_channels=8, gate_channels=16, skip_channels=16, frames=Mel(hop=64, n_fft=256)
    )
    WaveNet(told).save_pretrained(folder / "model")
    with WavWriter(folder / "a.wav") as file:
        file.write(melody(0.2, np.random.default_rng(2)))
    return folder


def made(vocoder, out, *flags):
    assert main(["vocode", str(vocoder / "model"), str(vocoder / "a.wav"), "-o", str(out), "-q", *flags]) == 0
    return audio.read(out)


def test_vocode_fits_its_sound_unless_told_not_to(vocoder, tmp_path):
    recording, mel = torch.from_numpy(audio.read(vocoder / "a.wav")), Mel(hop=64, n_fft=256)
    raw, fit = made(vocoder, tmp_path / "raw.wav", "--as-drawn"), made(vocoder, tmp_path / "fit.wav")
    expected = fitted(torch.from_numpy(raw), mel.of(recording), mel).numpy()
    assert np.abs(fit - expected).max() <= 1 / 32_768


def test_a_sound_is_fitted_once_wherever_it_was_stopped(vocoder, tmp_path):
    once = made(vocoder, tmp_path / "a.wav")
    note = json.loads(beside(tmp_path / "a.wav").read_text())
    whole = (tmp_path / "a.wav").read_bytes()
    made(vocoder, tmp_path / "raw.wav", "--as-drawn")
    drawn = (tmp_path / "raw.wav").read_bytes()
    for stage, content, mark in (
        ("done", whole, note["as_drawn"]),
        ("killed when the note knew of the fitting", drawn, note["as_drawn"]),
        ("killed when all was drawn", drawn, None),
    ):
        (tmp_path / "a.wav").write_bytes(content)
        beside(tmp_path / "a.wav").write_text(json.dumps({**note, "as_drawn": mark}))
        assert main(["vocode", "--resume", str(tmp_path / "a.wav"), "-q"]) == 0
        assert (tmp_path / "a.wav").read_bytes() == whole, stage
    assert len(once) == len(audio.read(vocoder / "a.wav"))
