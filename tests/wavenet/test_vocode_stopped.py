"""What ``wavenet vocode`` leaves behind when it stops between its groups of files: old sounds, and a way to go on."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from shared.errors import InputError
from tests.wavenet.networks import small_network
from wavenet import growing, wav
from wavenet.cli import main
from wavenet.data.plucks import melody
from wavenet.mel import Mel
from wavenet.writing import Written, write_blocks

FILES = 10  # two groups


@pytest.fixture(scope="module")
def vocoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    small_network(frames=Mel(channels=8, width=4, n_fft=256)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    for at in range(FILES):
        with wav.WavWriter(folder / f"{at}.wav") as file:
            file.write(melody(0.05, np.random.default_rng(at)))
    return folder


@pytest.fixture(scope="module")
def whole(vocoder: Path, inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every copy of two seeds, made in one call each."""
    folder = tmp_path_factory.mktemp("whole")
    for seed in ("old", "new"):
        assert vocode(vocoder, inputs, folder / seed, seed) == 0
    return {seed: folder / seed for seed in ("old", "new")}


def vocode(vocoder: Path, inputs: Path, out: Path, seed: str, *more: str) -> int:
    number = {"old": "100", "new": "200"}[seed]
    return main(["vocode", str(vocoder), str(inputs), "-o", f"{out}/", "--seed", number, "-q", *more])


def sounds(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*.wav"))]


def failing(group: int, error: BaseException | None):
    """``write_blocks``, but in this group of files, counted from 0, Ctrl-C is pressed at once, or ``error`` comes."""
    groups = iter(range(FILES))

    def write(stream, files, samples, quiet, lengths):
        if next(groups) < group:
            return write_blocks(stream, files, samples, quiet, lengths)
        if error:
            raise error
        return Written(0, 0.0, True)

    return write


def test_a_sound_is_written_over_only_when_its_turn_has_come(
    vocoder: Path, inputs: Path, whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    shutil.copytree(whole["old"], out)
    with monkeypatch.context() as patch:
        patch.setattr("wavenet.growing.write_blocks", failing(0, None))
        assert vocode(vocoder, inputs, out, "new", "--force") == 130
    assert sounds(out)[8:] == sounds(whole["old"])[8:]
    named = capsys.readouterr().err.rpartition("--resume ")[2].split()
    assert len(named) == FILES
    assert main(["vocode", "--resume", *named, "-q"]) == 0
    assert sounds(out) == sounds(whole["new"])


@pytest.mark.parametrize("error", [InputError("the disk is full"), MemoryError()], ids=repr)
def test_an_error_in_a_later_group_says_how_to_go_on_and_leaves_no_empty_files(
    error: BaseException, vocoder: Path, inputs: Path, whole: dict[str, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    real, groups = growing.drawn_on, iter(range(FILES))

    def drawn_on(group):
        if next(groups):
            raise error
        return real(group)

    with monkeypatch.context() as patch:
        patch.setattr(growing, "drawn_on", drawn_on)
        capsys.readouterr()
        assert vocode(vocoder, inputs, out, "new") == 1
    assert sounds(out) == sounds(whole["new"])[:8]
    told = capsys.readouterr().err
    assert f"go on: wavenet vocode --resume {out / '8.wav'} {out / '9.wav'}\n" in told
    assert main(["vocode", "--resume", *map(str, sorted(out.glob("*.json"))), "-q"]) == 0
    assert sounds(out) == sounds(whole["new"])
    assert not any(json.loads(path.read_text())["waiting"] for path in out.glob("*.json"))


def test_a_first_group_that_cannot_be_drawn_leaves_everything_as_it_was(
    vocoder: Path, inputs: Path, whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    shutil.copytree(whole["old"], out)
    before = {path: path.read_bytes() for path in out.iterdir()}

    def drawn_on(_):
        raise InputError("not today")

    monkeypatch.setattr("wavenet.growing.drawn_on", drawn_on)
    assert vocode(vocoder, inputs, out, "new", "--force") == 1
    assert "resume" not in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_a_full_disk_in_the_first_group_says_how_to_go_on(
    vocoder: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("wavenet.growing.write_blocks", failing(0, InputError("the disk is full")))
    assert vocode(vocoder, inputs, tmp_path / "out", "new") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("wavenet vocode: error: the disk is full; go on: wavenet vocode --resume ")
