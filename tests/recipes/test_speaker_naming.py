"""A listener that can tell voices apart says whose a clip is, and the controls are what they say they are."""

import json

import numpy as np
import pytest
import torch

from recipes.benchmarks import speaker_classifier, speaker_naming
from recipes.benchmarks.speaker_classifier import Share, SpeakerClassifier, named, together, trained
from tests.wavenet.command_line import TINY
from wavenet import wav
from wavenet.audio import RATE
from wavenet.cli import main as wavenet
from wavenet.data.plucks import melody


def voice(pitch, seconds, random):
    time = np.arange(round(seconds * RATE)) / RATE
    pitch *= 2 ** random.uniform(-0.1, 0.1)
    wave = sum(np.sin(2 * np.pi * (k * pitch * time + random.random())) / k for k in range(1, 20))
    return (random.uniform(0.01, 0.1) * wave + random.normal(0, 1e-3, len(time))).astype(np.float32)


def choir(count, seed):
    random = np.random.default_rng(seed)
    return [(voice((110, 300)[at % 2], random.uniform(0.15, 0.4), random), at % 2) for at in range(count)]


def test_it_learns_who_is_who_and_names_the_same_clip_the_same_way():
    model = trained(choir(48, 0), 2, epochs=8, batch=16)
    heard = choir(20, 1)
    found = named(model, [wave for wave, _ in heard])
    assert sum(a == b for a, (_, b) in zip(found, heard, strict=True)) >= 18
    assert named(model, [wave for wave, _ in heard]) == found


def test_neither_a_clips_level_nor_what_stands_beside_it_matters(monkeypatch):
    monkeypatch.setattr(speaker_classifier, "HEARD_AT", 200.0)  # hardly any noise, which would be drawn anew
    model = SpeakerClassifier(speakers=3, width=8).eval()
    (short, _), (long, _) = sorted(choir(2, 3), key=lambda each: len(each[0]))
    alone, beside, quiet = (model(*together(waves))[0] for waves in ([short], [short, long], [short / 100, long]))
    torch.testing.assert_close(beside, alone, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(quiet, alone, atol=1e-4, rtol=1e-4)


def test_phases_at_random_leave_the_spectrum_and_take_the_rest():
    random = np.random.default_rng(0)
    wave = voice(110, 0.3, random)
    noise = speaker_naming.phases_at_random(wave, random)
    assert noise.shape == wave.shape
    before, after = (np.abs(np.fft.rfft(each))[1:-1] for each in (wave, noise))
    np.testing.assert_allclose(after, before, atol=1e-3 * before.max())
    assert abs(np.corrcoef(wave, noise)[0, 1]) < 0.5


def test_through_mu_law_a_clip_takes_one_of_256_values():
    wave = voice(110, 0.5, np.random.default_rng(0))
    coarse = speaker_naming.through_mu_law(wave)
    assert len(np.unique(coarse)) <= 256
    np.testing.assert_allclose(coarse, wave, atol=0.02)


@pytest.mark.parametrize(("right", "of"), [(0, 30), (15, 30), (30, 30), (1, 1)])
def test_the_interval_holds_the_share_and_stays_within_none_and_all(right, of):
    low, high = Share(right, of).interval
    assert 0 <= low <= right / of <= high <= 1
    assert low < high


def test_shares_and_confusion_count_the_same_clips():
    clips = speaker_naming.Clips([np.zeros(1)] * 5, [0, 0, 1, 1, 2])
    found = [0, 1, 1, 1, 0]
    assert speaker_naming.share(clips, found) == Share(3, 5)
    assert speaker_naming.share(clips, found, off=1, speakers=3) == Share(2, 5)
    rows = speaker_naming.confusion(clips, found, ["a", "b", "c"])
    assert [list(row.values()) for row in rows] == [["a", "1", "1", "0"], ["b", "0", "2", "0"], ["c", "1", "0", "0"]]


def test_the_benchmark_names_what_a_run_draws_beside_its_controls(tmp_path, capsys):
    data, run = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    for at in range(12):
        with wav.WavWriter(data / f"{at}_{('ann', 'bob')[at % 2]}.wav") as file:
            file.write(melody(0.15 + 0.02 * at, np.random.default_rng(at)))
    quick = ["--steps", "2", "--threads", "1", "-q", "--trim", "--set", "train.validation=0.4", *TINY]
    assert wavenet(["train", str(data), "-o", str(run), "--speakers", "name", *quick]) == 0
    capsys.readouterr()
    given = [str(run), "--clips", "2", "--seconds", "0.2", "--epochs", "1", "--threads", "1", "-q"]
    assert speaker_naming.main([*given, "-o", str(tmp_path / "table.md")]) == 0
    text = capsys.readouterr().out
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == text
    assert "| ann |" in text
    assert speaker_naming.main([*given, "--data", str(data), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"real, held back", "generated", "real, phases at random"} < set(found["shares"])
    assert found["shares"]["generated"]["of"] == 4
    assert sum(int(row[name]) for row in found["confusion"] for name in ("ann", "bob")) == 4


def test_a_run_without_speakers_is_refused_in_one_line(tmp_path, capsys):
    from wavenet.model import WaveNet, WaveNetConfig

    WaveNet(WaveNetConfig(dilations=(1, 2))).save_pretrained(tmp_path / "plain")
    assert speaker_naming.main([str(tmp_path / "plain"), "-q"]) == 1
    assert "no run with speakers" in capsys.readouterr().err
