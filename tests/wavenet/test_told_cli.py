"""From recordings to voices: speakers and vocoders by the command line, and what is refused there."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.melodies import write_melodies
from tests.wavenet.command_line import TINY, one_line_error
from wavenet import audio, wav
from wavenet.cli import main
from wavenet.data.plucks import melody
from wavenet.model import WaveNet
from wavenet.writing import Written, write_blocks

SMALL = [*TINY, "--steps", "2", "--threads", "1", "-q"]
FEW = ["--set", "model.frames.channels=16", "--set", "model.frames.width=4"]
VOCODER = [*SMALL, "--mel", "--output", "categorical", *FEW]


@pytest.fixture(scope="module")
def choir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = [f"{at}_{('ann', 'bob')[at % 2]}_{at}" for at in range(6)]
    return write_melodies(tmp_path_factory.mktemp("choir"), names, 0.3)


@pytest.fixture(scope="module")
def voices(choir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "voices"
    assert main(["train", str(choir), "-o", str(folder), "--speakers", "name", *SMALL]) == 0
    return folder


@pytest.fixture(scope="module")
def vocoder(choir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "vocoder"
    assert main(["train", str(choir), "-o", str(folder), *VOCODER]) == 0
    return folder


def test_speakers_are_learnt_from_the_names_and_kept_with_the_model(voices: Path) -> None:
    assert WaveNet.from_pretrained(voices).config.labels.names == ("ann", "bob")


def test_clips_take_turns_among_speakers_and_a_speaker_matters(voices: Path, tmp_path: Path) -> None:
    model = WaveNet.from_pretrained(voices)
    with torch.no_grad():  # two steps have taught it next to nothing
        model.output.weight.normal_()
        model.conditioning.label.weight.mul_(20)
    model.save_pretrained(tmp_path / "loud")

    def clips(out: str, *speakers: str) -> list[bytes]:
        given = ["--speaker", *speakers, "-n", "2", "--seconds", "0.02", "-o", str(tmp_path / out), "-q"]
        assert main(["generate", str(tmp_path / "loud"), *given]) == 0
        return [path.read_bytes() for path in sorted((tmp_path / out).glob("*.wav"))]

    both, anns = clips("both", "ann", "bob"), clips("anns", "ann")
    assert both[0] == anns[0]
    assert both[1] != anns[1]


def test_a_told_clip_is_gone_on_with_in_its_own_voice(voices: Path, tmp_path: Path) -> None:
    def generate(out: str, seconds: str) -> Path:
        path = tmp_path / out
        given = ["--speaker", "bob", "--seconds", seconds, "-o", str(path), "-q"]
        assert main(["generate", str(voices), *given]) == 0
        return path

    whole, short = generate("whole.wav", "0.05"), generate("short.wav", "0.02")
    assert main(["generate", "--resume", str(short), "--seconds", "0.05", "-q"]) == 0
    assert short.read_bytes() == whole.read_bytes()


def test_training_goes_on_with_its_speakers(choir: Path, voices: Path) -> None:
    assert main(["train", "--resume", str(voices), "--steps", "3", "-q"]) == 0
    assert main(["evaluate", str(voices), str(choir), "-q", "--json"]) == 0
    assert main(["evaluate", str(voices), str(choir / "0_ann_0.wav"), "--speakers", "name:2", "-q"]) == 0


def test_a_vocoder_makes_each_recording_again_at_its_own_length(vocoder: Path, choir: Path, tmp_path: Path) -> None:
    with wav.WavWriter(tmp_path / "short.wav") as file:
        file.write(melody(0.05, np.random.default_rng(9)))
    given = [str(tmp_path / "short.wav"), str(choir / "0_ann_0.wav"), "-o", f"{tmp_path / 'out'}/", "-q"]
    assert main(["vocode", str(vocoder), *given]) == 0
    made = {path.name: len(audio.read(path)) for path in (tmp_path / "out").glob("*.wav")}
    assert made == {"short.wav": 800, "0_ann_0.wav": 4800}


def stopping_after(blocks: int):
    """``write_blocks``, but somebody presses Ctrl-C after so many blocks in all."""
    left = [blocks]

    def write(stream, files, samples, quiet, lengths):
        taken = list(itertools.islice(stream, left[0]))
        left[0] -= len(taken)
        done = write_blocks(iter(taken), files, samples, quiet, lengths)
        return Written(done.samples, done.real_time_factor, left[0] == 0)

    return write


@pytest.mark.parametrize("blocks", [8, 16], ids="{} blocks".format)  # each group takes 15, its first file 5
def test_a_copy_resumed_is_the_copy_of_one_call(
    blocks: int, vocoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Ten files in two groups; it stops within either."""
    inputs = tmp_path / "in"
    inputs.mkdir()
    for at in range(10):
        with wav.WavWriter(inputs / f"{at}.wav") as file:
            file.write(melody(0.1 if at == 0 else 0.3, np.random.default_rng(at)))
    common = ["vocode", str(vocoder), str(inputs), "--seed", "5", "--top-k", "40", "-q", "-o"]
    assert main([*common, f"{tmp_path / 'whole'}/"]) == 0
    with monkeypatch.context() as patch:
        patch.setattr("wavenet.growing.write_blocks", stopping_after(blocks))
        capsys.readouterr()
        assert main([*common, f"{tmp_path / 'part'}/"]) == 130
    shown = capsys.readouterr().err
    assert "can be played" in shown
    assert "wavenet vocode --resume" in shown
    made = [tmp_path / "part" / f"{at}.wav" for at in range(10)]
    assert [path.exists() for path in made] == [at < 8 or blocks > 15 for at in range(10)]
    assert made[7].read_bytes() != (tmp_path / "whole" / "7.wav").read_bytes() or blocks > 15
    named = shown.rpartition("--resume ")[2].split()
    assert named == [str(path) for path in made][0 if blocks < 15 else 8 :]
    given = [*named[:-1], f"{named[-1]}.json"]  # a note stands for its sound
    assert main(["vocode", "--resume", *given, "-q"]) == 0
    for path in made:
        assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes()
        assert json.loads(path.with_name(f"{path.name}.json").read_text())["top_k"] == 40
    assert main(["vocode", "--resume", str(made[0]), "-q"]) == 0
    assert "is complete: 0.1 s" in capsys.readouterr().err


def test_a_copy_is_not_gone_on_with_once_its_input_has_changed(
    vocoder: Path, choir: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source, copy = tmp_path / "mine.wav", tmp_path / "copy.wav"
    source.write_bytes((choir / "0_ann_0.wav").read_bytes())
    assert main(["vocode", str(vocoder), "-o", str(copy), str(source), "-q"]) == 0
    resume = ["vocode", "--resume", str(copy)]
    capsys.readouterr()
    assert "wavenet vocode --resume" in one_line_error(capsys, ["generate", "--resume", str(copy)])
    assert "--resume takes everything" in one_line_error(capsys, [*resume, "--top-k", "3"])
    with source.open("ab") as file:
        file.write(b"more")
    assert "mine.wav has changed or gone; bring it back" in one_line_error(capsys, resume)
    source.unlink()
    assert "mine.wav has changed or gone" in one_line_error(capsys, resume)


def test_stored_frames_are_made_into_what_their_sound_is(vocoder: Path, choir: Path, tmp_path: Path) -> None:
    source = choir / "1_bob_1.wav"
    mel = WaveNet.from_pretrained(vocoder).config.frames
    np.save(tmp_path / "stored.npy", mel.of(torch.from_numpy(audio.read(source))).numpy())
    for given, out in ((source, "a.wav"), (tmp_path / "stored.npy", "b.wav")):
        assert main(["vocode", str(vocoder), str(given), "-o", str(tmp_path / out), "-q"]) == 0
    sounds = [audio.read(tmp_path / name) for name in ("a.wav", "b.wav")]
    assert np.array_equal(sounds[0][: len(sounds[1])], sounds[1])


def test_features_of_ones_own_are_learnt_from(choir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "features"
    folder.mkdir()
    for path in choir.iterdir():
        count = 1 + len(audio.read(path)) // 200
        np.save(folder / f"{path.stem}.npy", np.random.default_rng(0).normal(5, 2, (6, count)).astype(np.float32))
    out = tmp_path / "run"
    assert main(["train", str(choir), "-o", str(out), "--features", str(folder), *SMALL]) == 0
    frames = WaveNet.from_pretrained(out).config.frames
    assert (frames.channels, round(frames.mean), round(frames.deviation)) == (6, 5, 2)
    assert main(["vocode", str(out), str(folder / "0_ann_0.npy"), "-o", str(tmp_path / "a.wav"), "-q"]) == 0


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["generate", "VOICES"], "whose voice? give --speaker NAME, one of ann, bob"),
        (["generate", "VOICES", "--speaker", "eve"], "--speaker eve: the model knows ann, bob"),
        (["generate", "VOCODER"], "is a vocoder; give it a recording: wavenet vocode"),
        (["generate", "PLAIN", "--speaker", "ann"], "trained without speakers"),
        (["vocode", "VOICES", "x.wav", "-o", "y.wav"], "takes no frames; train a vocoder"),
        (["vocode", "VOCODER", "missing.wav", "-o", "y.wav"], "missing.wav: cannot be opened"),
        (["vocode", "VOCODER", "missing.npy", "-o", "y.wav"], "no such file"),
        (["vocode", "VOCODER", "x.wav", "-o", "y.mp3"], "name it y.wav"),
        (["vocode", "VOCODER", "CHOIR", "-o", "y.wav"], "6 sounds need a folder"),
        (["vocode", "VOCODER", "CHOIR", "-o", "y/", "--temperature", "-1"], "--temperature -1.0: a number from 0 up"),
        (["vocode", "VOCODER", "CHOIR", "-o", "y/", "--greedy", "--top-p", "0.5"], "--greedy and --top-p"),
        (["vocode", "VOCODER", "-o", "y/"], "required: FILE"),
        (["vocode"], "required: RUN, FILE, -o/--out"),
        (["train", "CHOIR", "--steps", "1", "--speakers", "name:9"], "names have 3 parts"),
        (["train", "CHOIR", "--steps", "1", "--features", "CHOIR"], "holds no .npy files that can be used"),
        (["train", "--resume", "VOICES", "--mel"], "--resume takes everything from the run"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    given: list[str], reason: str, voices: Path, vocoder: Path, run: Path, choir: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    places = {"VOICES": voices, "VOCODER": vocoder, "PLAIN": run, "CHOIR": choir}
    capsys.readouterr()
    assert reason in one_line_error(capsys, [str(places.get(each, each)) for each in given])


def test_a_vocoder_has_a_learning_rate_of_its_own_unless_told(choir, capsys):
    def rate(*given):
        assert main(["train", str(choir), "--print-config", *given]) == 0
        return json.loads(capsys.readouterr().out)["train"]["learning_rate"]

    assert rate("--mel") == rate() / 2
    assert rate("--mel", "--set", "train.learning_rate=0.003") == 0.003
