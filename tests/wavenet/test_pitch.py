"""The pitch of a whole sound: right on glides in noise, deaf to loudness, not led astray by formants or octaves."""

import numpy as np
import pytest
import torch
from torchaudio.functional import detect_pitch_frequency

from wavenet import audio
from wavenet.pitch import STEP, follow_pitch, track_pitch

RATE = 16_000


def glide(start, end, seconds=1.0):
    """Frequency and a voice-like sound, pulses through a low-pass, that goes evenly (in octaves) between two notes."""
    time = np.arange(round(seconds * RATE)) / RATE
    frequency = start * (end / start) ** (time / seconds)
    phase = np.cumsum(frequency) / RATE
    pulses = np.diff(np.floor(phase), prepend=0)
    wave = np.convolve(pulses, np.exp(-np.arange(200) / 12))[: len(time)]
    return frequency, wave / np.abs(wave).max()


def through_formant(wave, centre, width):
    """Rung by a formant: a convolution with a decaying tone."""
    time = np.arange(2000) / RATE
    rung = np.convolve(wave, np.exp(-np.pi * width * time) * np.sin(2 * np.pi * centre * time))[: len(wave)]
    return rung / np.abs(rung).max()


def errors(wave, frequency):
    """Cents off where voiced, without the ends, and the share of frames that are voiced."""
    contour = follow_pitch(wave)
    true = frequency[np.minimum(np.arange(len(contour.voiced)) * STEP, len(frequency) - 1)]
    inner = slice(4, -4)
    voiced = contour.voiced[inner]
    return 1200 * np.log2(contour.frequency[inner][voiced] / true[inner][voiced]), voiced.mean()


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.05])
@pytest.mark.parametrize(("start", "end"), [(80, 160), (400, 150), (120, 480)])
def test_a_glide_is_followed_through_noise(start, end, noise):
    frequency, wave = glide(start, end)
    cents, voiced = errors(wave + np.random.default_rng(0).normal(0, noise, len(wave)), frequency)
    assert np.abs(cents).max() < 100
    assert np.sqrt(np.square(cents).mean()) < 25
    assert voiced > 0.97


@pytest.mark.parametrize("centre", [350, 500, 700])
def test_a_strong_formant_is_not_taken_for_the_voice(centre):
    frequency, wave = glide(250, 110)
    cents, voiced = errors(through_formant(wave, centre, 80), frequency)
    assert np.abs(cents).max() < 150
    assert voiced > 0.9


def test_noise_is_unvoiced_even_through_a_formant():
    noise = np.random.default_rng(0).normal(0, 0.1, RATE)
    assert follow_pitch(noise).voiced.mean() < 0.02
    assert follow_pitch(through_formant(noise, 500, 200)).voiced.mean() < 0.1


def test_a_missing_fundamental_is_found():
    time = np.arange(RATE) / RATE
    wave = sum(np.sin(2 * np.pi * 150 * harmonic * time) for harmonic in (2, 3, 4, 5))
    assert np.abs(follow_pitch(wave).frequency[5:-5] - 150).max() < 2


def test_the_path_keeps_to_its_octave_where_single_frames_leave_it(monkeypatch):
    """For 20 ms every other pulse is softer, so that two periods repeat better than one."""
    _, wave = glide(200, 200)
    period = RATE // 200
    for pulse in (50, 52):
        wave[pulse * period : (pulse + 1) * period] *= 0.7
    inner = slice(5, -5)
    assert np.abs(follow_pitch(wave).frequency[inner] - 200).max() < 5
    monkeypatch.setattr("wavenet.pitch.LEAP", 0.0)
    assert np.abs(follow_pitch(wave).frequency[inner] - 100).min() < 5


def test_voice_begins_and_ends_where_it_does():
    _, tone = glide(180, 180, 0.5)
    contour = follow_pitch(np.concatenate([np.zeros(RATE // 2), tone, np.zeros(RATE // 2)]))
    times = np.flatnonzero(contour.voiced) * STEP / RATE
    assert times.min() == pytest.approx(0.5, abs=0.025)
    assert times.max() == pytest.approx(1.0, abs=0.025)
    assert (contour.frequency[~contour.voiced] == 0).all()


def test_loudness_does_not_matter():
    _, wave = glide(120, 240)
    assert np.array_equal(follow_pitch(wave).voiced, follow_pitch(wave / 512).voiced)


@pytest.mark.parametrize("wave", [np.zeros(0), np.zeros(1), np.zeros(5000), np.full(5000, 0.5)], ids=len)
def test_silence_has_no_pitch(wave):
    contour = follow_pitch(wave)
    assert len(contour.frequency) == 1 + len(wave) // STEP
    assert not contour.voiced.any()


def test_bounds_are_refused_that_the_frames_cannot_hold():
    with pytest.raises(ValueError, match="between 60 and"):
        follow_pitch(np.zeros(100), lowest=20)


def test_by_itself_a_frame_has_the_pitch_that_the_path_gives_it():
    _, wave = glide(150, 150)
    assert np.abs(track_pitch(wave).frequency - follow_pitch(wave).frequency[50]).max() < 1


def test_a_womans_speech_is_plausible_and_another_detector_agrees(speech):
    wave = audio.read(speech / "LJ001-0084.flac")
    contour = follow_pitch(wave)
    assert 0.4 < contour.voiced.mean() < 0.75
    low, middle, high = np.percentile(contour.frequency[contour.voiced], [5, 50, 95])
    assert 100 < low < 180 < middle < 260 < high < 480
    goes_on = contour.voiced[1:] & contour.voiced[:-1]
    steps = np.log2(contour.frequency[1:][goes_on] / contour.frequency[:-1][goes_on])
    assert (np.abs(steps) > 0.4).mean() < 0.02
    other = detect_pitch_frequency(torch.from_numpy(wave), RATE, 0.02, win_length=3, freq_low=60, freq_high=600).numpy()
    seen = np.arange(len(other)) * round(0.02 * RATE / STEP)
    voiced = contour.voiced[seen]
    off = np.abs(np.log2(contour.frequency[seen][voiced] / other[voiced]))
    assert (off < 0.2).mean() > 0.65  # it has no say in whether there is a voice, and often takes half the frequency
