"""The built-in string plays in tune, and the pitch judge can tell."""

import numpy as np
import pytest

from recipes.check_demo import measure
from wavenet.data import Plucks
from wavenet.data.plucks import SCALE, melody, pluck
from wavenet.pitch import HOP, cents_off, track_pitch


def test_melodies_are_made_from_their_seed():
    assert np.array_equal(melody(1.0, np.random.default_rng(3)), melody(1.0, np.random.default_rng(3)))
    assert not np.array_equal(melody(1.0, np.random.default_rng(3)), melody(1.0, np.random.default_rng(4)))


def test_a_melody_stays_within_full_scale_and_sounds_throughout():
    wave = melody(10.0, np.random.default_rng(0))
    assert 0.3 < np.abs(wave).max() <= 1
    assert (track_pitch(wave).level > 0.005).all()


@pytest.mark.parametrize("frequency", SCALE)
def test_the_pitch_of_each_note_is_found(frequency):
    found = track_pitch(pluck(frequency, 0.4))
    assert np.abs(1200 * np.log2(found.frequency / frequency)).max() < 10
    assert found.periodicity.min() > 0.95


def test_the_source_holds_back_whole_melodies():
    tracks = Plucks(minutes=0.5).load(validation=0.2)
    assert len(tracks.train) == 5
    assert len(tracks.validation) == 1
    assert {t.name for t in tracks.train}.isdisjoint(t.name for t in tracks.validation)


def test_the_judge_accepts_melodies_and_rejects_everything_else():
    random = np.random.default_rng(0)
    melodies = np.stack([melody(2.0, np.random.default_rng(seed)) for seed in range(3)])
    assert measure(melodies)["in_tune"] > 0.95
    assert measure(melodies)["periodicity"] > 0.95
    noise = random.normal(0, 0.1, (2, 32_000))
    assert measure(noise)["periodicity"] < 0.3
    between = np.stack([pluck(note * 2 ** (1 / 24 * 1.5), 2.0) for note in SCALE[:3]])  # 75 cents sharp
    assert measure(between)["in_tune"] < 0.2


def test_a_frame_is_every_16_ms():
    assert len(track_pitch(np.zeros(16_000 + 1024 - HOP)).frequency) == 16_000 // HOP


def test_cents_are_to_the_nearest_note():
    assert cents_off(np.array([440.0, 466.16]), (440.0, 880.0)) == pytest.approx([0, 100], abs=0.1)
