"""Every recipe runs; what it reaches stands in recipes/README.md and is measured apart."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmentation.data.shapes import draw
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


def test_train_segmentation_trains_a_run_that_predicts(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for at in range(4):
        pixels, ids = draw((40, 56), np.random.default_rng(at))
        Image.fromarray(pixels).save(tmp_path / "data" / "images" / f"{at}.png")
        Image.fromarray(ids).save(tmp_path / "data" / "masks" / f"{at}.png")
    settings = ["--set", "train.batch=2", "--set", "train.augmentation.crop=[32,32]", "--set", "network.width=8"]
    out = tmp_path / "run"
    given = ["--data", tmp_path / "data", "-o", out, "--steps", "2", "--threads", "1", *settings]
    done = run("recipes/train_segmentation.py", *given)
    assert done.returncode == 0, done.stderr
    assert "step 2" in done.stdout
    assert run("-m", "segmentation", "predict", out, tmp_path / "data" / "images", "-o", tmp_path / "m").returncode == 0


@pytest.mark.slow
def test_the_segmentation_demo_learns_forms(tmp_path):
    """Trains for over three minutes on two cores; scores are of shapes that no training saw. 93 was measured."""
    done = run("-m", "segmentation", "demo", "-o", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"mean IoU ([\d.]+) over 200 fresh", done.stdout)[1]) > 90


@pytest.mark.slow
def test_the_demo_sounds_like_plucked_notes(tmp_path):
    """Trains for two minutes; both ratios must be above their thresholds over 8 seeds."""
    assert run("-m", "wavenet", "demo", "-o", tmp_path / "demo", "--seconds", "1").returncode == 0
    for name in ("demo.wav", "curve.png", "real-and-generated.png", "model.safetensors"):
        assert (tmp_path / "demo" / name).stat().st_size > 1000
    judged = run("recipes/check_demo.py", tmp_path / "demo")
    assert judged.returncode == 0, judged.stdout
