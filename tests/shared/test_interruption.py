"""The first Ctrl-C asks, the second one interrupts, and afterwards signals mean what they meant before."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shared import cli
from shared.training.interruption import Interruption

SIGNALS = [signal.SIGINT, signal.SIGTERM]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_only_asks(number: signal.Signals) -> None:
    with Interruption() as interruption:
        assert not interruption.requested
        os.kill(os.getpid(), number)
        assert interruption.requested


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_the_second_signal_interrupts_at_once(first: signal.Signals, second: signal.Signals) -> None:
    before = handlers()
    with Interruption():
        os.kill(os.getpid(), first)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), second)
    assert handlers() == before


def test_handlers_are_restored_on_leaving_and_after_an_error() -> None:
    before = handlers()
    with Interruption():
        assert all(handler not in before for handler in handlers())
    assert handlers() == before
    with pytest.raises(ZeroDivisionError), Interruption():
        _ = 1 / 0
    assert handlers() == before


def test_after_leaving_ctrl_c_interrupts_again() -> None:
    with Interruption():
        pass
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_one_within_another_restores_the_outer_one() -> None:
    with Interruption() as outer:
        with Interruption() as inner:
            os.kill(os.getpid(), signal.SIGINT)
        assert (outer.requested, inner.requested) == (False, True)
        os.kill(os.getpid(), signal.SIGINT)
        assert outer.requested


def test_away_from_the_main_thread_it_leaves_signals_alone() -> None:
    before, seen = handlers(), []

    def work() -> None:
        with Interruption() as interruption:
            seen.append((interruption.requested, handlers()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
    assert handlers() == before


def test_a_loop_that_is_asked_to_stop_finishes_its_step() -> None:
    code = """
from shared.training.interruption import Interruption
import time
with Interruption() as interruption:
    print("running", flush=True)
    while not interruption.requested:
        time.sleep(0.01)
    print("step done", flush=True)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == "running\n"
        run.send_signal(signal.SIGTERM)
        assert run.communicate()[0] == "step done\n"
    assert run.returncode == 0


@pytest.mark.parametrize("number", SIGNALS)
def test_a_command_that_does_not_listen_is_stopped_in_one_line(number: signal.Signals, capsys) -> None:
    before = handlers()
    assert cli.run("wavenet prepare", lambda: os.kill(os.getpid(), number), debug=False) == cli.INTERRUPTED
    assert capsys.readouterr().err == "wavenet prepare: stopped\n"
    assert handlers() == before
