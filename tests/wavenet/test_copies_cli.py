"""``wavenet evaluate`` on a vocoder and on voices: the table, its two yardsticks, and the sounds that it keeps."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.melodies import write_melodies
from tests.wavenet.command_line import TINY, one_line_error
from tests.wavenet.networks import small_network
from wavenet import audio, wav
from wavenet.cli import main
from wavenet.conditioning import Labels
from wavenet.copies import compare
from wavenet.copies.drawn import copies, makers, stretches
from wavenet.copies.griffin_lim import griffin_lim
from wavenet.copies.kept import targets
from wavenet.data.conditions import Conditions
from wavenet.data.plucks import melody
from wavenet.data.tracks import ArrayTrack, Part
from wavenet.distributions import Categorical, LogisticMixture
from wavenet.mel import Mel

SMALL = [*TINY, "--steps", "2", "--threads", "1", "-q"]
VOCODER = [
    *SMALL,
    "--mel",
    "--output",
    "categorical",
    "--set",
    "model.frames.channels=16",
    "--set",
    "model.frames.width=4",
]


@pytest.fixture(scope="module")
def choir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = [f"{at}_{('ann', 'bob')[at % 2]}_{at}" for at in range(4)]
    return write_melodies(tmp_path_factory.mktemp("choir"), names, *(0.2 + 0.05 * at for at in range(4)))


@pytest.fixture(scope="module")
def vocoder(choir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "vocoder"
    assert main(["train", str(choir), "-o", str(folder), *VOCODER]) == 0
    return folder


@pytest.fixture(scope="module")
def voices(choir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "voices"
    assert main(["train", str(choir), "-o", str(folder), "--speakers", "name", *SMALL]) == 0
    return folder


def evaluated(capsys, *given):
    capsys.readouterr()
    assert main(["evaluate", *map(str, given), "-q", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_maker_is_measured_on_every_file(vocoder, choir, capsys):
    found = evaluated(capsys, vocoder, choir, "--part", "all")["copies"]
    assert list(found["rows"]) == ["model", "model, as drawn", "mu-law round trip", "Griffin-Lim"]
    names = sorted(path.name for path in choir.iterdir())
    for row in found["rows"].values():
        assert [each["file"] for each in row["files"]] == names
        figures = [each["log_spectral_distance"] for each in row["files"]]
        assert row["mean"]["log_spectral_distance"] == pytest.approx(np.mean(figures), abs=1e-3)
    assert found["measures"]["log_spectral_distance"] == {"unit": "dB", "better": "lower"}


def test_copies_are_those_of_vocode_and_the_figures_those_of_the_kept_sounds(vocoder, choir, tmp_path, capsys):
    options = ["--seed", "5", "--temperature", "0.8"]
    kept = ["-o", tmp_path / "kept", "--part", "all", *options]
    found = evaluated(capsys, vocoder, choir, *kept)["copies"]
    assert main(["vocode", str(vocoder), str(choir), "-o", f"{tmp_path / 'made'}/", *options, "-q"]) == 0
    for at, path in enumerate(sorted(choir.iterdir())):
        copy = tmp_path / "kept" / f"{path.stem}-model.wav"
        assert copy.read_bytes() == (tmp_path / "made" / path.name).read_bytes()
        assert np.array_equal(audio.read(tmp_path / "kept" / f"{path.stem}-recording.wav"), audio.read(path))
        for maker in ("mu-law round trip", "Griffin-Lim"):
            sound = audio.read(tmp_path / "kept" / f"{path.stem}-{maker.lower().replace(' ', '-')}.wav")
            figure = found["rows"][maker]["files"][at]["stft_distance"]
            assert compare(audio.read(path), sound)["stft_distance"] == pytest.approx(figure, rel=0.02)


def test_the_table_has_a_line_for_each_maker_and_arrows(vocoder, choir, capsys):
    assert main(["evaluate", str(vocoder), str(choir), "--copies", "1", "--part", "all", "-q"]) == 0
    told = capsys.readouterr().out
    heading, *rows = told.partition("\ncopies of 1 file, 0.2 s:\n")[2].splitlines()
    assert "LSD dB ↓" in heading
    assert "voicing % ↓" in heading
    assert [row.split("  ")[0] for row in rows[:4]] == ["model", "model, as drawn", "mu-law round trip", "Griffin-Lim"]


def test_without_copies_only_bits_are_counted(vocoder, run, recordings, choir, capsys):
    assert "copies" not in evaluated(capsys, vocoder, choir, "--copies", "0")
    assert "copies" not in evaluated(capsys, run, recordings)


def test_bits_are_told_for_each_speaker_and_pool_to_the_whole(voices, choir, capsys):
    found = evaluated(capsys, voices, choir, "--part", "all")
    assert list(found["speakers"]) == ["ann", "bob"]
    assert sum(each["samples"] for each in found["speakers"].values()) == found["samples"]
    mean = sum(each["samples"] * each["bits_16"] for each in found["speakers"].values()) / found["samples"]
    assert mean == pytest.approx(found["bits_16"], abs=1e-3)
    assert main(["evaluate", str(voices), str(choir), "--part", "all", "-q"]) == 0
    assert "  ann  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["RUN", "RECORDINGS", "--copies", "3"], "--copies 3: "),
        (["RUN", "RECORDINGS", "-o", "kept"], "-o kept: is for a vocoder's copies, and none are made"),
        (["VOCODER", "CHOIR", "--copies", "0", "-o", "kept"], "none are made"),
        (["RUN", "RECORDINGS", "--temperature", "0.5"], "--temperature 0.5: is for a vocoder's copies, and none are"),
        (["RUN", "RECORDINGS", "--greedy"], "--greedy: is for a vocoder's copies"),
        (["RUN", "RECORDINGS", "--top-k", "3"], "--top-k 3: is for"),
        (["RUN", "RECORDINGS", "--top-p", "0.5"], "--top-p 0.5: is for"),
        (["RUN", "RECORDINGS", "--precision", "int8"], "--precision int8: is for"),
        (["RUN", "RECORDINGS", "--seed", "5"], "--seed 5: is for"),
        (["VOCODER", "CHOIR", "--features", "CHOIR"], "takes no features from files; leave it out"),
        (["VOCODER", "CHOIR", "--temperature", "-1"], "temperature"),
        (["VOCODER", "CHOIR", "-o", "full", "--part", "all"], "exists already; choose another folder or pass --force"),
    ],
)
def test_what_makes_no_sense_is_refused(given, reason, vocoder, choir, run, recordings, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "0_ann_0-model.wav").touch()
    places = {"VOCODER": vocoder, "CHOIR": choir, "RUN": run, "RECORDINGS": recordings}
    capsys.readouterr()
    assert reason in one_line_error(capsys, ["evaluate", "-q", *(str(places.get(each, each)) for each in given)])


def test_griffin_lim_brings_back_the_mel_spectrum_with_the_given_length_and_seed():
    mel, wave = Mel(), torch.from_numpy(melody(0.5, np.random.default_rng(0)).astype(np.float32))
    frames = mel.of(wave)
    before = torch.random.get_rng_state()
    made = griffin_lim(frames, mel, len(wave))
    assert torch.equal(before, torch.random.get_rng_state())
    assert made.shape == wave.shape
    assert torch.equal(made, griffin_lim(frames, mel, len(wave)))
    far = float((mel.of(torch.zeros_like(wave)) - frames).abs().mean())
    assert float((mel.of(made) - frames).abs().mean()) < 0.15 * far


def test_griffin_lim_of_silence_is_silent():
    made = griffin_lim(Mel().of(torch.zeros(4000)), Mel(), 4000)
    assert float(made.abs().max()) < 1e-3


@pytest.mark.parametrize("samples", [1, 400, 512, 513])
def test_griffin_lim_makes_even_what_is_shorter_than_half_a_window(samples):
    mel, wave = Mel(), torch.from_numpy(melody(0.1, np.random.default_rng(0))[800 : 800 + samples].astype(np.float32))
    made = griffin_lim(mel.of(wave), mel, samples)
    assert made.shape == (samples,)
    assert made.isfinite().all()
    assert griffin_lim(mel.of(0 * wave), mel, samples).abs().max() < 1e-3
    assert samples == 1 or 0.2 < float(made.norm() / wave.norm()) < 5  # one sample is a matter of its random phase


def test_a_recording_of_25_ms_is_copied_and_measured(vocoder, tmp_path, capsys):
    with wav.WavWriter(tmp_path / "short.wav") as file:
        file.write(melody(0.025, np.random.default_rng(0)))
    rows = evaluated(capsys, vocoder, tmp_path / "short.wav", "--part", "all")["copies"]["rows"]
    assert rows["Griffin-Lim"]["mean"]["log_spectral_distance"] > 0


@pytest.mark.parametrize("files", [["a", "b"], ["1", "1", "1-1"], ["1-1", "1", "1"], ["2-a", "a", "a", "1-a"]])
def test_no_two_sounds_are_kept_in_one_place(files, tmp_path):
    places = targets(tmp_path, [f"{at}/{file}.wav" for at, file in enumerate(files)], ["recording", "model"], False)
    assert len({path for each in places for path in each.values()}) == 2 * len(files)
    assert all(Path(file).name in each["model"].name for file, each in zip(files, places, strict=True))


def test_files_are_spread_evenly_and_cut():
    tracks = [ArrayTrack(str(at), np.zeros(10_000 * (at + 1), np.float32)) for at in range(9)]
    assert [track.name for track in stretches(tracks, 3)] == ["0", "4", "8"]
    assert [track.samples for track in stretches(tracks, 3, seconds=1.0)] == [10_000, 16_000, 16_000]
    assert stretches(tracks, 0) == []
    assert len(stretches(tracks, 100)) == 9


def test_the_ceiling_is_the_models_own_quantisation_and_labels_reach_the_drawing():
    wave = melody(0.05, np.random.default_rng(0)).astype(np.float32)
    mel = Mel(channels=8, width=4, n_fft=256)
    model = small_network(labels=Labels(names=("ann", "bob"), width=4), frames=mel)
    tracks = [Part(ArrayTrack(name, wave), 0, 800) for name in ("a", "b")]

    def drawn(*labels):
        conditions = Conditions(model.config, dict(zip("ab", labels, strict=True)))
        return [each.sounds for each in copies(model, tracks, conditions, seed=1)]

    first, second = drawn("ann", "ann")
    assert tuple(first) == makers(model.config)
    assert np.array_equal(first["mu-law round trip"], Categorical(classes=16).quantise(torch.from_numpy(wave)).numpy())
    assert np.array_equal(first["Griffin-Lim"], second["Griffin-Lim"])
    again, other = drawn("ann", "bob")
    assert np.array_equal(first["model"], again["model"])
    assert not np.array_equal(second["model"], other["model"])


def test_mu_law_stands_beside_models_of_finer_samples_too():
    wave = melody(0.05, np.random.default_rng(0)).astype(np.float32)
    model = small_network(output=LogisticMixture(), frames=Mel(channels=8, width=4, n_fft=256))
    (found,) = copies(model, [ArrayTrack("a", wave)], Conditions(model.config))
    expected = Categorical().quantise(torch.from_numpy(wave)).numpy()
    assert np.array_equal(found.sounds["mu-law round trip"], expected)
