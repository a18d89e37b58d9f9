"""Mel frames are torchaudio's, and a window of them is what the whole recording's would be there."""

import numpy as np
import pytest
import torch
import torchaudio

from wavenet.audio import RATE
from wavenet.data.plucks import melody
from wavenet.data.tracks import ArrayTrack
from wavenet.mel import Mel
from wavenet.mel_inversion import amplitudes_of

WAVE = torch.from_numpy(melody(0.6, np.random.default_rng(0)))


@pytest.mark.parametrize("mel", [Mel(), Mel(hop=160, n_fft=512, channels=40, lowest=60, highest=7600)])
def test_frames_are_torchaudios(mel: Mel) -> None:
    theirs = torchaudio.transforms.MelSpectrogram(
        RATE, mel.n_fft, hop_length=mel.hop, f_min=mel.lowest, f_max=mel.highest, n_mels=mel.channels,
        power=1.0, center=True, pad_mode="constant", norm="slaney", mel_scale="slaney",
    )(WAVE)  # fmt: skip
    ours = mel.of(WAVE)
    assert ours.shape == (mel.channels, mel.count(len(WAVE)))
    torch.testing.assert_close(ours, theirs.clamp_min(mel.floor).log(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("first", "last"), [(0, 5), (-4, 3), (20, 31), (40, 60), (70, 75), (-9, -3)])
def test_a_window_of_a_track_is_that_of_the_whole(first: int, last: int) -> None:
    mel = Mel()
    whole = mel.of(WAVE)
    places = torch.arange(first, last).clamp(0, whole.shape[1] - 1)
    found = mel.of_track(ArrayTrack("melody", WAVE.numpy()), first, last)
    torch.testing.assert_close(found, whole[:, places], atol=1e-4, rtol=1e-4)


def test_a_track_shorter_than_a_window_has_frames_too() -> None:
    assert Mel().of_track(ArrayTrack("short", np.zeros(30, np.float32)), -2, 4).shape == (80, 6)


def test_silence_is_the_floor() -> None:
    mel = Mel()
    assert torch.allclose(mel.of(torch.zeros(2, 500)), torch.tensor(mel.floor).log())


@pytest.mark.parametrize(
    "changes", [{"n_fft": 100}, {"n_fft": 513}, {"highest": 9000.0}, {"floor": 0.0}, {"lowest": 8000.0}]
)
def test_settings_that_make_no_sense_are_refused(changes: dict) -> None:
    with pytest.raises(ValueError, match=r"n_fft|lowest|floor"):
        Mel(**changes)


def test_a_spectrum_made_of_mel_bands_is_not_negative_and_has_these_bands():
    mel = Mel()
    frames = mel.of(WAVE)
    found = amplitudes_of(frames, mel, 30)
    filters = torchaudio.functional.melscale_fbanks(513, 0, 8000, 80, RATE, norm="slaney", mel_scale="slaney")
    again = (filters.t() @ found).clamp_min(mel.floor).log()
    assert (found >= 0).all()
    assert float((again - frames).abs().mean()) < 0.02
