"""``wavenet evaluate`` on a vocoder of features: where they are looked for."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from shared.training import checkpoint
from tests.wavenet.command_line import TINY, one_line_error
from wavenet import wav
from wavenet.cli import main
from wavenet.data.plucks import melody


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sounds, their features, a run on them and its exported model."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "sounds").mkdir()
    (folder / "features").mkdir()
    for at in range(3):
        with wav.WavWriter(folder / "sounds" / f"{at}.wav") as file:
            file.write(melody(0.1, np.random.default_rng(at)))
        values = np.random.default_rng(at).normal(size=(6, 1 + 1600 // 200))
        np.save(folder / "features" / f"{at}.npy", values.astype(np.float32))
    given = ["-o", str(folder / "run"), "--features", str(folder / "features"), "--steps", "1", "--threads", "1", "-q"]
    assert main(["train", str(folder / "sounds"), *given, *TINY]) == 0
    assert main(["export", str(folder / "run"), "-o", str(folder / "voice")]) == 0
    return folder


def asked(place: Path, model: str, *more: str) -> list[str]:
    return ["evaluate", str(place / model), str(place / "sounds"), "--part", "all", "--json", "-q", *more]


def test_a_run_knows_them_and_an_exported_model_is_told(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    found = []
    shutil.copytree(place / "features", tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    for argv in (asked(place, "run"), asked(place, "voice", "--features", "moved")):
        capsys.readouterr()
        assert main(argv) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["bits_per_sample"] == found[1]["bits_per_sample"]
    assert found[0]["copies"]["rows"] == found[1]["copies"]["rows"]


def test_they_are_never_looked_for_where_one_happens_to_be(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(place / "features")
    capsys.readouterr()
    assert "say where those of DATA lie by --features DIR" in one_line_error(capsys, asked(place, "voice"))


def test_a_folder_that_has_moved_is_named(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    shutil.copytree(place / "run", tmp_path / "run")
    values = checkpoint.load_config(tmp_path / "run")
    checkpoint.save_config(tmp_path / "run", {**values, "features": str(tmp_path / "gone")})
    capsys.readouterr()
    argv = ["evaluate", str(tmp_path / "run"), str(place / "sounds"), "-q"]
    line = one_line_error(capsys, argv)
    assert "gone: no such folder; say where the features of DATA lie by --features DIR" in line
    assert main([*argv, "--features", str(place / "features"), "--copies", "0"]) == 0
