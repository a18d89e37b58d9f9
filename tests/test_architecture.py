"""The house rules that a machine can check."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("shared", "wavenet", "segmentation", "recipes")
SOURCES = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_ruff_finds_nothing():
    for arguments in (["check", "."], ["format", "--check", "."]):
        done = run(sys.executable, "-m", "ruff", *arguments, "--no-cache")
        assert done.returncode == 0, done.stdout + done.stderr


def test_arrows_point_down():
    done = run(sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c(['--no-cache'])")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_opens_by_stating_its_idea_and_is_short(path):
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 310


def test_only_one_place_opens_sound_files():
    openers = [path.name for path in SOURCES if re.search(r"^\s*(import|from) soundfile", path.read_text(), re.M)]
    assert openers == ["audio.py"]


def test_only_one_place_opens_pictures():
    calls = re.compile(r"\bImage\.open\(|\bimread\(")
    assert [path.name for path in SOURCES if calls.search(path.read_text())] == ["images.py"]


def test_pins_lie_within_the_ranges_and_name_no_host():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pins = project["tool"]["uv"]["constraint-dependencies"]
    assert {"torch==2.11.0", "torchaudio==2.11.0"} <= set(pins)
    assert all(re.match(r"^[A-Za-z0-9._-]+==[^ ]+( ; .*)?$", pin) for pin in pins)
    wanted = {re.split(r"[<>=]", each)[0] for each in project["project"]["dependencies"]}
    assert wanted <= {pin.split("==")[0] for pin in pins}


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    from importlib.metadata import version

    assert version("atrous") == project["project"]["version"]
