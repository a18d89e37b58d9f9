"""Every recipe runs; what it reaches stands in recipes/README.md and is measured apart."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wavenet import wav
from wavenet.data.plucks import melody

ROOT = Path(__file__).parents[2]


def run(*command):
    return subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, capture_output=True, text=True)


def test_train_speech_trains_a_run_that_generates(tmp_path):
    for at in range(3):
        with wav.WavWriter(tmp_path / f"{at}.wav") as file:
            file.write(melody(1.0, np.random.default_rng(at)))
    settings = [
        "--set", "train.targets=64", "--set", "train.previews=1", "--set", "train.preview_seconds=0.01",
        "--set", "train.excerpts=2", "--set", "model.dilations=[1,2]",
    ]  # fmt: skip
    out = tmp_path / "run"
    done = run("recipes/train_speech.py", "--data", tmp_path, "-o", out, "--steps", "2", "--threads", "1", *settings)
    assert done.returncode == 0, done.stderr
    assert "step 2" in done.stdout
    assert run("recipes/train_speech.py", "--data", tmp_path / "absent", "-o", tmp_path / "x").returncode == 1


@pytest.mark.slow
def test_the_demo_sounds_like_plucked_notes(tmp_path):
    """Trains for two minutes; both ratios must be above their thresholds over 8 seeds."""
    assert run("-m", "wavenet", "demo", "-o", tmp_path / "demo", "--seconds", "1").returncode == 0
    for name in ("demo.wav", "curve.png", "real-and-generated.png", "model.safetensors"):
        assert (tmp_path / "demo" / name).stat().st_size > 1000
    judged = run("recipes/check_demo.py", tmp_path / "demo")
    assert judged.returncode == 0, judged.stdout
