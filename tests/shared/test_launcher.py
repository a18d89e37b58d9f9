"""Processes of one machine are started, watched, started again when killed, and never left behind."""

import os
import signal
import sys
import threading
import time

import pytest

from shared.errors import InputError
from shared.training.launcher import RESTARTS, launch

HEAD = """
import os, signal, sys, time
rank, restarts = int(os.environ["RANK"]), int(os.environ["TORCHELASTIC_RESTART_COUNT"])
note = open(os.path.join(sys.argv[1], f"{rank}.{restarts}"), "w")
note.write(f"{os.getpid()} " + os.environ["TORCHELASTIC_RUN_ID"])
note.close()
"""
SLEEP = "\ntime.sleep(60)"
STOP = """
def stop(*_):
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
"""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="signals are POSIX's")


def launched(folder, body, count=2):
    return launch(["-S", "-c", HEAD + body, str(folder)], count)


def started(folder):
    return sorted(path.name for path in folder.iterdir())


def none_is_left(folder):
    for path in folder.iterdir():
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text().split()[0]), 0)
    return True


def test_all_end_well(tmp_path, capfd):
    assert launched(tmp_path, "", count=3) == 0
    assert started(tmp_path) == ["0.0", "1.0", "2.0"]
    assert len({path.read_text().split()[1] for path in tmp_path.iterdir()}) == 1  # one name for the launch
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("code", [1, 2, 130, 141])
def test_a_process_that_said_why_it_ends_ends_all(code, tmp_path, capfd):
    assert launched(tmp_path, f"if rank == 0: sys.exit({code}){SLEEP}") == code
    assert started(tmp_path) == ["0.0", "1.0"]
    assert none_is_left(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_an_error_of_any_process_is_the_launchers(tmp_path):
    assert launched(tmp_path, f"if rank == 1: sys.exit(1){SLEEP}") == 1
    assert none_is_left(tmp_path)


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_has_all_started_again(killed, tmp_path, capfd):
    killing = f"if restarts < 2 and rank == {killed}: os.kill(os.getpid(), signal.SIGKILL)"
    assert launched(tmp_path, f"{killing}\nif restarts < 2: time.sleep(60)") == 0
    assert started(tmp_path) == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]
    assert len({path.read_text().split()[1] for path in tmp_path.iterdir()}) == 1
    assert none_is_left(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_it_is_not_tried_for_ever(tmp_path):
    with pytest.raises(InputError, match=rf"killed {RESTARTS + 1} times .*-9.*--resume"):
        launched(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)", count=1)
    assert len(started(tmp_path)) == RESTARTS + 1


def asked_to_stop(folder, number):
    """Send this process a signal once two are running."""

    def send():
        deadline = time.monotonic() + 30
        while len(list(folder.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_and_the_processes_may_save(number, tmp_path, capfd):
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    thread = asked_to_stop(tmp_path, number)
    assert launched(tmp_path, STOP + SLEEP) == 130
    thread.join()
    assert none_is_left(tmp_path)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
    assert capfd.readouterr() == ("", "")


def test_who_is_stopped_before_it_can_speak_is_spoken_for(tmp_path):
    thread = asked_to_stop(tmp_path, signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):  # which the command line turns into its line
        launched(tmp_path, SLEEP)
    thread.join()
    assert none_is_left(tmp_path)


def test_the_python_that_runs_is_the_one_that_is_started(tmp_path):
    assert launched(tmp_path, f"sys.exit(0 if sys.executable == {sys.executable!r} else 1)", count=1) == 0
