"""Who comes second harms nothing: neither sounds and notes of a command under way, nor its copies; and litter goes."""

import numpy as np
import pytest

from tests.wavenet.command_line import TINY
from wavenet.cli import main
from wavenet.note import beside
from wavenet.wav import WavWriter, reopened


@pytest.fixture
def clip(run, tmp_path):
    path = tmp_path / "a.wav"
    assert main(["generate", str(run), "--seconds", "0.02", "-o", str(path), "-q"]) == 0
    return path


def test_a_sound_that_is_being_written_keeps_its_note(run, clip, capsys):
    note, sound = beside(clip).read_bytes(), clip.read_bytes()
    with reopened(clip)[0]:
        assert main(["generate", str(run), "--seconds", "0.01", "--seed", "7", "-o", str(clip), "--force", "-q"]) == 1
    said = capsys.readouterr().err
    assert "another process is writing to it" in said
    assert "go on" not in said
    assert (beside(clip).read_bytes(), clip.read_bytes()) == (note, sound)


def test_a_copy_that_another_prepare_writes_stays(recordings, tmp_path, capsys):
    out, name = tmp_path / "copies", next(recordings.iterdir()).name
    out.mkdir()
    with WavWriter(out / f".{name}.part") as file:
        file.write(np.zeros(100))
        main(["prepare", str(recordings), "-o", str(out), "-q"])
        assert (out / f".{name}.part").exists()
    assert "another process is writing to it" in capsys.readouterr().err


def test_what_a_kill_left_beside_a_sound_goes_when_it_is_gone_on_with(clip, tmp_path):
    for name in (".a.wav.0123abcd.part", ".a.wav.json.0123abcd.part", ".b.wav.0123abcd.part"):
        (tmp_path / name).write_bytes(b"half")
    assert main(["generate", "--resume", str(clip), "--seconds", "0.03", "-q"]) == 0
    assert [path.name for path in tmp_path.glob(".*")] == [".b.wav.0123abcd.part"]


def test_a_run_whose_settings_are_damaged_can_be_started_over(recordings, tmp_path):
    train = ["train", str(recordings), "-o", str(tmp_path / "run"), "--steps", "1", "-q", *TINY]
    assert main(train) == 0
    path = tmp_path / "run" / "config.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    assert main([*train[:4], "--overwrite", *train[4:]]) == 0
