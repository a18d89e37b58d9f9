"""Laws of the measures of a copy: what is perfect, what a known fault costs, and what does not count."""

import math
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest
import torch

from wavenet.copies import MEASURES, compare, means
from wavenet.copies.cepstra import FILTERS, cepstra, mel_cepstral_distortion
from wavenet.copies.intonation import intonation
from wavenet.copies.listeners import installed
from wavenet.copies.resolutions import stft_distance
from wavenet.copies.spectra import RANGE, amplitudes, floored, log_spectral_distance
from wavenet.data.plucks import melody

SPECTRAL = (log_spectral_distance, mel_cepstral_distortion, stft_distance)
TIME = np.arange(16_000) / 16_000


def sound(seconds=1.0, seed=0):
    return torch.from_numpy(melody(seconds, np.random.default_rng(seed)).astype(np.float32))


def noise(samples=16_000, seed=1, size=1.0):
    return size * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def test_a_perfect_copy_is_at_distance_0():
    found = compare(sound().numpy(), sound().numpy())
    assert {name: value for name, value in found.items() if name not in ("pesq", "stoi")} == dict.fromkeys(
        (measure.name for measure in MEASURES if not measure.higher), 0.0
    )


@pytest.mark.parametrize("measure", SPECTRAL)
def test_more_noise_is_further_away(measure):
    found = [measure(sound(), sound() + noise(size=size)) for size in (1e-4, 1e-3, 1e-2, 1e-1)]
    assert 0 < found[0] < found[1] < found[2] < found[3]


@pytest.mark.parametrize("measure", SPECTRAL)
def test_turning_both_up_changes_nothing(measure):
    ours, theirs = sound(), sound() + noise(size=1e-3)
    assert measure(8 * ours, 8 * theirs) == pytest.approx(measure(ours, theirs), rel=1e-6)


def test_a_softer_copy_is_as_many_decibels_away_and_has_the_same_cepstrum():
    wave = noise()
    assert log_spectral_distance(wave, wave * 10 ** (-3 / 20)) == pytest.approx(3, abs=1e-4)
    assert mel_cepstral_distortion(wave, wave * 10 ** (-3 / 20)) == pytest.approx(0, abs=1e-4)


def test_the_spectral_distance_is_symmetric_above_the_floor():
    ours, theirs = noise(seed=1), noise(seed=2)
    assert log_spectral_distance(ours, theirs) == pytest.approx(log_spectral_distance(theirs, ours), rel=1e-6)


def test_two_takes_of_one_noise_are_as_far_apart_as_exponential_powers():
    """The log of an exponential variable has variance π²/6, so two of them differ by 10/ln 10 · √(π²/3) dB: 7.88."""
    found = log_spectral_distance(noise(160_000, seed=1), noise(160_000, seed=2))
    assert found == pytest.approx(10 / math.log(10) * math.sqrt(math.pi**2 / 3), abs=0.1)


def test_what_lies_under_the_floor_does_not_count():
    ours = sound()
    hiss = noise(size=1e-7)
    assert log_spectral_distance(ours, ours + hiss) < 0.01
    first, second = floored(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1e-9]))
    assert 20 * math.log10(first[0] / first[1]) == pytest.approx(RANGE)
    assert second[1] == first[1]


def test_a_late_copy_is_a_worse_copy():
    ours = sound()
    late = [torch.nn.functional.pad(ours, (shift, 0))[: len(ours)] for shift in (0, 40, 400, 1600)]
    for measure in SPECTRAL:
        found = [measure(ours, copy) for copy in late]
        assert found[0] < found[1] < found[2] < found[3]


def test_all_coefficients_together_are_the_difference_of_the_envelopes_without_their_means():
    """Parseval: the distortion over every coefficient is the root mean square difference in dB along the mel scale."""
    random = np.random.default_rng(0)
    ours, theirs = (torch.from_numpy(random.uniform(0.1, 2, (FILTERS, 1))) for _ in range(2))
    apart = cepstra(ours) - cepstra(theirs)
    gap = 20 * torch.log10(ours / theirs)
    expected = float((gap - gap.mean()).square().mean().sqrt())
    assert float(10 / math.log(10) * (2 * apart[1:].square().sum()).sqrt()) == pytest.approx(expected, rel=1e-9)


def test_a_ripple_in_the_envelope_is_one_coefficient():
    places = (torch.arange(FILTERS, dtype=torch.float64) + 0.5) * math.pi / FILTERS
    found = cepstra(torch.exp(0.25 * torch.cos(5 * places))[:, None]).flatten()
    expected = torch.zeros(FILTERS, dtype=torch.float64)
    expected[5] = 0.25
    assert torch.allclose(found, expected, atol=1e-12)


def test_the_distance_at_three_resolutions_is_what_its_formula_says():
    """At half the amplitude the spectral convergence is 1/2 and the logarithms differ by ln 2, at each resolution."""
    assert stft_distance(noise(), noise() / 2) == pytest.approx(0.5 + math.log(2), abs=1e-3)


@pytest.mark.parametrize(("ratio", "gross"), [(1.05, 0.0), (1.3, 1.0)])
def test_a_copy_that_is_sharp_is_off_by_just_that(ratio, gross):
    ours, theirs = (np.sin(2 * np.pi * frequency * TIME) for frequency in (200, 200 * ratio))
    found = intonation(ours, theirs)
    assert found.cents == pytest.approx(1200 * math.log2(ratio), abs=2)
    assert found.hertz == pytest.approx(200 * (ratio - 1), abs=0.5)
    assert found.gross == gross
    assert np.isnan(found.fine) if gross else found.fine == found.cents
    assert found.voicing == pytest.approx(0, abs=0.03)


def test_voicing_errors_are_the_share_of_frames():
    tone = np.sin(2 * np.pi * 200 * TIME)
    half = np.where(TIME < 0.5, tone, 0.0)
    assert intonation(tone, half).voicing == pytest.approx(0.5, abs=0.04)
    assert intonation(half, tone).voicing == intonation(tone, half).voicing


def test_intonation_does_not_hear_levels():
    tone = np.sin(2 * np.pi * (200 + 20 * TIME) * TIME)
    assert intonation(tone, 0.01 * tone)[:4] == pytest.approx((0, 0, 0, 0), abs=1e-6)


@pytest.mark.parametrize("length", [1, 100, 8000])
def test_silence_and_scraps_have_finite_distances_or_none(length):
    quiet, loud = np.zeros(length, np.float32), np.full(length, 0.1, np.float32)
    for ours, theirs in ((quiet, quiet), (quiet, loud), (loud, quiet)):
        found = compare(ours, theirs)
        assert all(value is None or math.isfinite(value) for value in found.values())
        assert found["f0_cents"] is None
        assert found["log_spectral_distance"] is not None


def test_the_longer_sound_is_cut():
    wave = sound().numpy()
    assert compare(wave, np.concatenate([wave, wave]))["log_spectral_distance"] == 0


@pytest.mark.parametrize("bad", [[], [np.nan], [np.inf, 0.0]])
def test_only_sound_is_compared(bad):
    with pytest.raises(ValueError, match="only sound can be compared"):
        compare(np.zeros(10), np.array(bad))


def test_packages_that_are_not_there_leave_their_measures_out(monkeypatch):
    monkeypatch.setattr("wavenet.copies.installed", lambda: ())
    assert {"pesq", "stoi"}.isdisjoint(compare(sound(0.2).numpy(), sound(0.2).numpy()))


class PesqError(RuntimeError):
    """As the package's own."""


def listener(monkeypatch, package, answer, **more):
    """Put a package in the place of ``package``; returns what its function is called with."""
    heard = []

    def listen(*given):
        heard.append(given)
        return answer()

    stub = ModuleType(package)
    stub.__spec__ = ModuleSpec(package, None)
    vars(stub).update({"stoi" if package == "pystoi" else package: listen, **more})
    monkeypatch.setitem(sys.modules, package, stub)
    return heard


def fail(error):
    raise error


def test_pesq_is_told_the_rate_the_recording_the_copy_and_the_wide_band(monkeypatch):
    heard = listener(monkeypatch, "pesq", lambda: 3.5, PesqError=PesqError)
    assert compare(np.array([0.5, 0.25]), np.array([0.1, 0.2]))["pesq"] == 3.5
    ((rate, reference, degraded, band),) = heard
    assert (rate, band) == (16_000, "wb")
    assert (reference.dtype, degraded.dtype) == (np.float32, np.float32)
    assert (reference.tolist(), degraded.tolist()) == ([0.5, 0.25], pytest.approx([0.1, 0.2]))


@pytest.mark.parametrize("error", [PesqError("no utterance"), ZeroDivisionError(), ValueError("too short")], ids=repr)
def test_where_pesq_hears_no_speech_it_has_no_answer(error, monkeypatch):
    listener(monkeypatch, "pesq", lambda: fail(error), PesqError=PesqError)
    assert compare(np.ones(2), np.ones(2))["pesq"] is None


def test_pesq_is_not_asked_about_silence(monkeypatch):
    heard = listener(monkeypatch, "pesq", lambda: 1.0, PesqError=PesqError)
    for ours, theirs in ((np.zeros(2), np.ones(2)), (np.ones(2), np.zeros(2))):
        assert compare(ours, theirs)["pesq"] is None
    assert heard == []


def test_stoi_is_told_the_recording_the_copy_and_the_rate(monkeypatch):
    heard = listener(monkeypatch, "pystoi", lambda: 0.75)
    assert compare(np.array([0.5, 0.25]), np.array([0.125, 0.0]))["stoi"] == 0.75
    ((clean, processed, rate),) = heard
    assert (clean.tolist(), processed.tolist(), rate) == ([0.5, 0.25], [0.125, 0.0], 16_000)


@pytest.mark.parametrize(
    "answer",
    [
        lambda: warnings.warn("not enough frames", RuntimeWarning, stacklevel=1) or 1e-5,
        lambda: fail(ValueError("too short")),
        lambda: float("nan"),
    ],
    ids=["warned", "failed", "nan"],
)
def test_where_there_is_too_little_sound_stoi_has_no_answer(answer, monkeypatch):
    listener(monkeypatch, "pystoi", answer)
    assert compare(np.ones(2), np.ones(2))["stoi"] is None


def test_what_else_goes_wrong_within_a_listener_is_not_hushed_up(monkeypatch):
    listener(monkeypatch, "pesq", lambda: fail(TypeError("a fault")), PesqError=PesqError)
    with pytest.raises(TypeError, match="a fault"):
        compare(np.ones(2), np.ones(2))


@pytest.mark.skipif(len(installed()) < 2, reason="pesq and pystoi are not installed")
def test_listeners_like_the_recording_best(speech):
    from wavenet import audio

    wave = audio.read(speech / "LJ001-0002.flac")
    best, worse = (compare(wave, wave + noise(len(wave), size=size).numpy()) for size in (0, 0.02))
    assert best["pesq"] > 4.5
    assert best["stoi"] == pytest.approx(1, abs=1e-3)
    assert worse["pesq"] < 3
    assert worse["stoi"] < best["stoi"]


def test_means_are_over_the_files_that_have_an_answer():
    assert means([{"f0_hertz": None}, {"f0_hertz": 4.0}, {"f0_hertz": 2.0}]) == {"f0_hertz": 3.0}


def test_frames_stand_where_the_sound_is():
    click = torch.zeros(4000)
    click[1280] = 1
    assert int(amplitudes(click).sum(0).argmax()) == 10
