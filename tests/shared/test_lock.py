"""Only one comes in; a refusal is at once and in one line; and nothing of it stays behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import InputError
from shared.lock import lock, only_writer

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX locks")


def test_the_second_is_refused_in_one_line_and_let_in_when_the_first_has_left(tmp_path):
    with only_writer(tmp_path):
        with pytest.raises(InputError, match="another process is writing to it; wait") as caught, only_writer(tmp_path):
            pass
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(f"{tmp_path}: ")
        with only_writer(tmp_path / "beside"):
            pass
    with only_writer(tmp_path):
        assert list(tmp_path.iterdir()) == []  # no lock file


def test_an_error_inside_opens_the_lock(tmp_path):
    with pytest.raises(ZeroDivisionError), only_writer(tmp_path):
        _ = 1 / 0
    with only_writer(tmp_path):
        pass


def test_a_folder_that_was_made_and_stays_empty_goes_again_and_no_other(tmp_path):
    (tmp_path / "there").mkdir()
    with only_writer(tmp_path / "there" / "a" / "b"):
        assert (tmp_path / "there" / "a" / "b").is_dir()
    with only_writer(tmp_path / "there"):
        assert list((tmp_path / "there").iterdir()) == []
    assert (tmp_path / "there").is_dir()
    with only_writer(tmp_path / "used"):
        (tmp_path / "used" / "file").touch()
    assert (tmp_path / "used" / "file").exists()


def test_what_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for name in ("file", "file/below"):
        with pytest.raises(InputError, match=r"is a file|cannot be made"), only_writer(tmp_path / name):
            pass


def test_a_lock_dies_with_its_process(tmp_path):
    code = "from shared.lock import *\nwith only_writer(Path(sys.argv[1])): print('in', flush=True); input()"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", f"import sys\n{code}", str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as other:
        assert other.stdout.readline() == "in\n"
        with pytest.raises(InputError), only_writer(tmp_path):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait()
        with only_writer(tmp_path):
            pass


def test_a_file_is_locked_until_it_is_closed(tmp_path):
    path = tmp_path / "a.wav"
    with path.open("wb") as one, path.open("rb") as two:
        assert lock(one.fileno())
        assert not lock(two.fileno())
        one.close()
        assert lock(two.fileno())
