"""What is wrong is said in one line, and nothing that exists is harmed."""

import pytest
import torch

from tests.conftest import SHARED_DATA
from tests.wavenet.command_line import TINY, one_line_error
from wavenet.cli import main
from wavenet.model import WaveNet, WaveNetConfig


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["train", "/no/such/folder", "--steps", "1"], "/no/such/folder"),
        (["train", "DATA"], "--steps or --minutes"),
        (["train", "--steps", "1"], "give a folder"),
        (["train", "DATA", "--steps", "0"], "--steps"),
        (["train", "DATA", "--minutes", "nan"], "--minutes"),
        (["train", "DATA", "--steps", "1", "--preset", "giant"], "tiny, short, small, base, large"),
        (["train", "DATA", "--steps", "1", "--set", "model.chanels=3"], "no setting model.chanels"),
        (["train", "DATA", "--steps", "1", "--set", "model.kernel_sice=3"], "did you mean kernel_size?"),
        (["train", "DATA", "--steps", "1", "--set", "model.kernel_size=two"], "takes int"),
        (["train", "DATA", "--steps", "1", "--set", "model.gate_channels=3"], "must be even"),
        (["train", "DATA", "--steps", "1", "--config", "absent.toml"], "absent.toml"),
        (["train", "DATA", "--steps", "1", "--device", "abacus"], "abacus"),
        (["train", "DATA", "--stepz", "1"], "did you mean --steps?"),
        (["train", "EMPTY", "--steps", "1"], "no sound files"),
        (["train", "--resume", "EMPTY"], "holds no model"),
        (["train", "--resume", "RUN", "--preset", "tiny"], "--resume takes everything from the run"),
        (["train", "DATA", "-o", "RUN", "--steps", "1"], "--overwrite"),
        (["train", "torchaudio:YESNO", "--steps", "1"], "--root"),
        (["generate", "EMPTY"], "holds no model"),
        (["generate", "/no/such/run"], "no such folder"),
        (["generate", "RUN", "--seconds", "-1"], "--seconds"),
        (["generate", "RUN", "--temperature", "-1"], "--temperature"),
        (["generate", "RUN", "--prompt", "absent.wav"], "absent.wav"),
        (["generate", "RUN", "--prompt-seconds", "1"], "--prompt FILE"),
        (["generate", "RUN", "-n", "2", "-o", "a.wav"], "need a folder"),
        (["generate", "RUN", "-o", "a.mp3"], "a.wav"),
        (["generate", "RUN", "--seed", "often"], "--seed often"),
        (["prepare", "--trim", "DATA"], "is no number; put DATA before it"),
        (["train", "--level", "DATA"], "argument --level: "),
        (["generate", "--resume", "a.wav", "RUN"], "there is no a.wav.json"),
        (["generate", "--resume", "RUN"], "is a folder, not a clip; a model stands before the flag"),
        (["evaluate", "RUN", "EMPTY"], "no sound files"),
        (["info", "EMPTY"], "holds no model"),
        (["bake"], "bake"),
        ([], "COMMAND"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_answered_in_one_line(argv, says, run, recordings, tmp_path, capsys):
    places = {"DATA": recordings, "EMPTY": tmp_path, "RUN": run}
    assert says in one_line_error(capsys, [str(places.get(word, word)) for word in argv])


def test_an_existing_file_is_not_written_over(run, tmp_path, capsys):
    target = tmp_path / "a.wav"
    target.write_bytes(b"mine")
    argv = ["generate", str(run), "--seconds", "0.01", "-o", str(target), "-q"]
    assert "--force" in one_line_error(capsys, argv)
    assert target.read_bytes() == b"mine"
    assert main([*argv, "--force"]) == 0


@pytest.mark.parametrize("damage", ["cut", "foreign", "other"])
def test_a_damaged_checkpoint_is_one_line(damage, run, tmp_path, capsys):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "config.json").write_bytes((run / "config.json").read_bytes())
    weights = (run / "model.safetensors").read_bytes()
    if damage == "cut":
        (copy / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    elif damage == "foreign":
        torch.save({"state_dict": {}}, copy / "model.safetensors")
    else:
        WaveNet().save_pretrained(tmp_path / "base")
        (copy / "model.safetensors").write_bytes((tmp_path / "base" / "model.safetensors").read_bytes())
    assert "model.safetensors" in one_line_error(capsys, ["generate", str(copy), "--seconds", "0.01"])


def test_good_files_beside_bad_ones_train_and_the_bad_are_named(tmp_path, capsys):
    bad = SHARED_DATA / "bad" / "audio"
    if not bad.is_dir():
        pytest.skip(f"the broken files are not here: {bad}")
    assert main(["train", str(bad), "-o", str(tmp_path / "run"), "--steps", "2", "--threads", "1", *TINY]) == 0
    err = capsys.readouterr().err
    for name in ("zero_bytes.wav", "float_nan.wav", "lfs_pointer.wav", "truncated.flac", "folder.wav"):
        assert name in err


def test_prepare_never_writes_into_the_folder_that_it_reads(recordings, capsys):
    before = {path.name: path.read_bytes() for path in recordings.iterdir()}
    for place in (recordings, recordings / "copy"):
        argv = ["prepare", str(recordings), "-o", str(place), "--force", "-q"]
        assert "choose a place outside" in one_line_error(capsys, argv)
    assert {path.name: path.read_bytes() for path in recordings.iterdir()} == before


def test_a_note_is_never_written_over_somebody_elses_file(run, capsys):
    before = (run / "config.json").read_bytes()
    argv = ["generate", str(run), "--seconds", "0.01", "-q", "-o"]
    assert main([*argv, str(run / "config.wav")]) == 0
    assert (run / "config.json").read_bytes() == before
    capsys.readouterr()
    (run / "a.wav.json").write_text("mine")
    assert "a.wav.json" in one_line_error(capsys, [*argv, str(run / "a.wav")])


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["info", "a", ""], "too many"),
        (["train", "DATA", "--steps", "1", "--set", "train.weight_decay=NaN"], "weight_decay"),
        (["train", "DATA", "--steps", "1", "--set", "train.learning_rate=Infinity"], "learning_rate"),
        (["train", "DATA", "--steps", "1", "-q", "-o", "/dev/null/x"], "/dev/null"),
        (["generate", "RUN", "--temperature", "nan"], "--temperature nan"),
        (["generate", "RUN", "--seconds", "1e300"], "--seconds"),
        (["generate", "RUN", "-n", "100000"], "at most"),
        (["demo", "--seconds", "0.00001"], "less than one sample"),
        (["demo", "--threads", "100000000000000000000"], "--threads"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_odd_argument_is_answered_in_one_line(argv, says, run, recordings, capsys):
    places = {"DATA": recordings, "RUN": run}
    assert says in one_line_error(capsys, [str(places.get(word, word)) for word in argv])


def test_a_clip_that_cannot_be_resumed_says_why(run, tmp_path, capsys):
    clip = tmp_path / "a.wav"
    assert "a.wav.json" in one_line_error(capsys, ["generate", "--resume", str(clip)])
    assert main(["generate", str(run), "--seconds", "0.01", "-q", "-o", str(clip)]) == 0
    capsys.readouterr()
    assert "--resume takes everything" in one_line_error(capsys, ["generate", "--resume", str(clip), "--seed", "3"])
    other = tmp_path / "other"
    WaveNet(WaveNetConfig(dilations=(1, 2))).save_pretrained(other)
    argv = ["generate", str(other), "--resume", str(clip), "--seconds", "1"]
    assert "another model" in one_line_error(capsys, argv)
    clip.write_bytes(b"RIFF, or so it says")
    argv = ["generate", "--resume", str(clip), "--seconds", "1"]
    assert "not as this toolkit writes" in one_line_error(capsys, argv)
    (tmp_path / "a.wav.json").write_text("{}")
    assert "not a note" in one_line_error(capsys, argv)
    assert "give a run folder" in one_line_error(capsys, ["generate"])
