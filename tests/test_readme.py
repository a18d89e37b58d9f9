"""README's commands are commands, and its examples run."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

import segmentation.cli
import shared.rf.cli
import wavenet.cli

PROGRAMS = {"wavenet": wavenet.cli, "segmentation": segmentation.cli, "receptive-field": shared.rf.cli}
ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.S | re.M)  # in pairs, or an end would pass for a beginning
    return [block for name, block in found if name == language]


def words(line):
    """What the program is given: up to a pipe, without the comment."""
    found = shlex.split(line, comments=True)
    return found[: found.index("|")] if "|" in found else found


COMMANDS = [
    (program, words(line.split(f"uv run {program}")[1]))
    for block in blocks("")
    for line in block.splitlines()
    for program in PROGRAMS
    if f"uv run {program}" in line
]


@pytest.mark.parametrize(("program", "command"), COMMANDS, ids=lambda each: " ".join(each))
def test_a_command_in_the_readme_is_one_that_the_program_understands(program, command):
    found = PROGRAMS[program].parser().parse_args(command)
    assert getattr(found, "command", command[0]) == command[0]


SHOWN = [line for program in (wavenet.cli, segmentation.cli) for line in program.EXAMPLES.splitlines()]
TRAININGS = [
    *(command for _, command in COMMANDS if command[0] == "train"),
    *(line.split()[1:] for line in SHOWN if line.split()[1:2] == ["train"]),
]


@pytest.mark.parametrize("command", TRAININGS, ids=" ".join)
def test_a_training_says_how_long(command):
    assert {"--minutes", "--steps", "--resume"} & set(command)


@pytest.mark.parametrize("program", ["wavenet", "segmentation"])
def test_every_command_is_in_the_readme(program):
    (choices,) = [action.choices for action in PROGRAMS[program].parser()._actions if action.dest == "command"]
    assert set(choices) == {command[0] for name, command in COMMANDS if name == program}


def test_the_readmes_python_runs(tmp_path, monkeypatch):
    from tests.wavenet.networks import small_network

    (example,) = [block for block in blocks("python") if ">>>" not in block]
    monkeypatch.chdir(tmp_path)
    small_network().save_pretrained("runs/mine")
    exec(compile(example, "README.md", "exec"), {})
    assert Path("a.wav").stat().st_size == 44 + 2 * 2 * 16_000


def test_the_readmes_sessions_print_what_it_says():
    assert doctest.testfile(str(ROOT / "README.md"), module_relative=False).failed == 0


def test_the_readmes_settings_file_is_legal(tmp_path):
    from shared.config import with_file
    from wavenet.run import Run

    (example,) = blocks("toml")
    (tmp_path / "run.toml").write_text(example)
    assert with_file(Run(), tmp_path / "run.toml").model.residual_channels == 96


def test_ci_runs_the_readmes_test_command():
    assert "uv run pytest" in (ROOT / ".ci" / "run").read_text()
    assert "uv run pytest" in TEXT
