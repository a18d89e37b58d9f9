"""Processes that share a run take the steps of one; what happens to one of them, happens to all."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import pytest
import safetensors.torch
import torch

from shared.cli import FAILED, INTERRUPTED
from shared.errors import InputError
from shared.training import checkpoint, session
from shared.training.processes import LOST
from tests.teams import as_team, free_port
from tests.wavenet.command_line import TINY, one_line_error
from tests.wavenet.test_trainer import QUIET, RUN, assert_same
from wavenet import trainer
from wavenet.cli import main
from wavenet.commands.train import finished
from wavenet.data import Plucks

# With 256 targets a code that 1 in 256 of them has would begin with the gradient 0, of which Adam makes steps of noise.
SHARED = replace(RUN, data=Plucks(minutes=0.2), train=replace(RUN.train, batch=3, targets=250))
STEPS = 20
PLAN = replace(QUIET, steps=STEPS)


def run_with(**settings):
    return replace(SHARED, train=replace(SHARED.train, **settings))


def distance(one, other):
    mine, yours = (safetensors.torch.load_file(folder / "resume.safetensors") for folder in (one, other))
    names = [name for name in mine if name.startswith(("model.", "average."))]
    return max(float((mine[name] - yours[name]).abs().max()) for name in names)


def at_step(monkeypatch, happens):
    """Have ``happens(step, team)`` called in each process before it reads what it needs for a step."""
    read = trainer.Excerpts.step

    def step_of(self, step, batches, team):
        happens(step, team)
        return read(self, step, batches, team)

    monkeypatch.setattr(trainer.Excerpts, "step", step_of)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "run"
    trainer.start(SHARED, folder, PLAN)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two") / "run"
    assert as_team(2, trainer.start, SHARED, folder, PLAN) == [0, 0]
    return folder


def test_two_processes_take_the_steps_of_one(alone, two):
    assert distance(alone, two) < 1e-6
    ours, theirs = (
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()] for folder in (alone, two)
    )
    assert [each["step"] for each in ours] == [each["step"] for each in theirs]  # one diary, by one of them
    for mine, yours in zip(ours, theirs, strict=True):
        for name in mine.keys() - {"step", "seconds"}:
            assert mine[name] == pytest.approx(yours[name], rel=1e-5)


def test_shares_may_differ_and_be_empty_and_all_hold_the_same_weights(alone, tmp_path, monkeypatch):
    save = session.Session.save

    def save_all(self):
        save(self)
        weights = {name: value.clone() for name, value in self.average.weights.items()}
        safetensors.torch.save_file(weights, tmp_path / f"{self.team.rank}.weights")

    monkeypatch.setattr(session.Session, "save", save_all)
    assert as_team(4, trainer.start, SHARED, tmp_path / "run", PLAN) == [0] * 4  # 3 examples for 4 processes
    assert distance(alone, tmp_path / "run") < 1e-6
    first, *others = [safetensors.torch.load_file(tmp_path / f"{rank}.weights") for rank in range(4)]
    assert all(torch.equal(first[name], other[name]) for other in others for name in first)


def test_accumulated_batches_are_shared_as_one(alone, tmp_path):
    run = run_with(batch=1, accumulate=3)
    trainer.start(run, tmp_path / "one", PLAN)
    assert distance(alone, tmp_path / "one") < 1e-6
    assert as_team(2, trainer.start, run, tmp_path / "two", PLAN) == [0, 0]
    assert distance(alone, tmp_path / "two") < 1e-6


def test_bfloat16_products_differ_by_their_own_rounding(tmp_path):
    run = run_with(precision="bfloat16")
    trainer.start(run, tmp_path / "one", replace(PLAN, steps=3))
    assert as_team(2, trainer.start, run, tmp_path / "two", replace(PLAN, steps=3)) == [0, 0]
    assert distance(tmp_path / "one", tmp_path / "two") < 1e-2


def test_a_checkpoint_does_not_say_how_many_processes_go_on(alone, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    at_step(monkeypatch, lambda step, team: step in (6, 12) and team.leads and os.kill(os.getpid(), signal.SIGTERM))
    assert as_team(2, trainer.start, SHARED, folder, PLAN) == [0, INTERRUPTED]
    assert as_team(1, trainer.resume, folder, QUIET) == [0]
    assert as_team(2, trainer.resume, folder, QUIET) == [0, 0]
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [each["step"] for each in records if "bits" in each] == list(range(1, STEPS + 1))
    assert distance(alone, folder) < 1e-6


def test_a_lost_process_ends_all_and_a_restart_ends_as_if_nothing_had_been(two, tmp_path, monkeypatch):
    folder = tmp_path / "run"

    def killed_at_13(step, team):
        if step == 13 and team.rank == 1 and team.restarts == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    at_step(monkeypatch, killed_at_13)
    assert as_team(2, trainer.start, SHARED, folder, PLAN) == [LOST, -signal.SIGKILL]
    assert checkpoint.training_state(folder)["step"] == 10
    assert as_team(2, trainer.start, SHARED, folder, PLAN, restarts=1) == [0, 0]  # the same call: it goes on
    assert_same(two, folder)


def test_a_restart_does_not_take_an_older_run_for_its_own(two, tmp_path):
    folder = tmp_path / "run"
    assert as_team(2, trainer.start, SHARED, folder, replace(PLAN, steps=2), launch="yesterday") == [0, 0]
    start = partial(trainer.start, overwrite=True)
    assert as_team(2, start, SHARED, folder, PLAN, restarts=1) == [0, 0]
    assert_same(two, folder)


@pytest.mark.parametrize("asked", [0, 1])
def test_what_one_process_is_asked_to_do_all_do_after_the_same_step(asked, tmp_path, monkeypatch):
    def asked_at_13(step, team):
        if step == 13 and team.rank == asked:
            os.kill(os.getpid(), signal.SIGTERM)

    def work():
        raise SystemExit(finished(trainer.start(SHARED, tmp_path / "run", PLAN)))

    at_step(monkeypatch, asked_at_13)
    assert as_team(2, work) == [INTERRUPTED, INTERRUPTED]
    assert checkpoint.training_state(tmp_path / "run")["step"] == 14


def test_a_file_that_one_process_cannot_read_is_told_once_and_costs_nothing(tmp_path, monkeypatch):
    def gone(step, team):
        if step == 5 and team.rank == 1:
            raise InputError("a.wav: gone; bring it back")

    def work():
        try:
            trainer.start(SHARED, tmp_path / "run", PLAN)
        except InputError as error:
            (tmp_path / f"{os.environ['RANK']}.txt").write_text(str(error))
            raise SystemExit(FAILED) from None

    at_step(monkeypatch, gone)
    assert as_team(2, work) == [FAILED, FAILED]
    assert [path.name for path in tmp_path.glob("*.txt")] == ["0.txt"]
    message = (tmp_path / "0.txt").read_text()
    assert message.startswith("process 1: a.wav: gone; bring it back; step 5 is saved")
    assert checkpoint.training_state(tmp_path / "run")["step"] == 5


def test_the_first_process_decides_what_the_clock_says(tmp_path, monkeypatch):
    fraction = session.Budget.fraction

    def slow_clock(self, step):
        late = os.environ["RANK"] != "0"
        return fraction(self, step) / (1000 if late else 1)

    monkeypatch.setattr(session.Budget, "fraction", slow_clock)
    assert as_team(2, trainer.start, SHARED, tmp_path / "run", replace(QUIET, minutes=0.01)) == [0, 0]
    assert checkpoint.training_state(tmp_path / "run")["step"] >= 1


def test_different_recordings_are_refused(tmp_path, monkeypatch):
    load = Plucks.load

    def other(self, *given):
        return load(replace(self, minutes=0.2 + 0.2 * int(os.environ["RANK"])), *given)

    monkeypatch.setattr(Plucks, "load", other)
    assert as_team(2, trainer.start, SHARED, tmp_path / "run", PLAN) == [1, 1]
    assert not (tmp_path / "run").exists()


def test_who_starts_the_processes_is_clear(tmp_path, recordings, capsys, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "elsewhere")
    given = ["train", str(recordings), "--steps", "1"]
    assert "torchrun has started" in one_line_error(capsys, [*given, "-o", str(tmp_path / "run"), "--procs", "2"])
    assert "-o RUN" in one_line_error(capsys, given)


def test_what_is_wrong_is_said_before_processes_start(two, tmp_path, recordings, capsys, monkeypatch):
    monkeypatch.setattr("wavenet.commands.train.launched", None)
    given = ["train", str(recordings), "--procs", "2", "-o"]
    assert "not empty" in one_line_error(capsys, [*given, str(two), "--steps", "1"])
    assert "--steps or --minutes" in one_line_error(capsys, [*given, str(tmp_path / "new")])
    assert "no such folder" in one_line_error(capsys, ["train", "--resume", str(tmp_path / "none"), "--procs", "2"])


COMMAND = [sys.executable, "-m", "wavenet", "train"]
SETTINGS = [*TINY, "--set", "train.targets=250", "--set", "train.batch=3", "--set", "train.precision=float32"]
SETTINGS += ["--threads", "1", "--device", "cpu", "--save-every", "20", "-q"]


@pytest.mark.slow
def test_a_killed_process_of_a_command_costs_nothing(tmp_path, recordings):
    given = [*COMMAND, str(recordings), "--procs", "2", "--steps", "200", *SETTINGS, "-o"]
    subprocess.run([*given, str(tmp_path / "whole")], check=True, timeout=900)
    with subprocess.Popen([*given, str(tmp_path / "broken")]) as launcher:
        diary, deadline = tmp_path / "broken" / "metrics.jsonl", time.monotonic() + 600
        while not diary.exists() or len(diary.read_text().splitlines()) < 30:
            assert launcher.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        found = subprocess.run(["pgrep", "-P", str(launcher.pid)], capture_output=True, text=True, check=True)
        os.kill(int(found.stdout.split()[-1]), signal.SIGKILL)
        assert launcher.wait(900) == 0
    assert_same(tmp_path / "whole", tmp_path / "broken")


@pytest.mark.slow
def test_two_agents_train_what_one_process_does(tmp_path, recordings):
    given = ["train", str(recordings), "--steps", "20", *SETTINGS, "-o"]
    agents = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "2"]
    agents += ["--rdzv-backend", "c10d", "--rdzv-id", "two", "--rdzv-endpoint", f"localhost:{free_port()}"]
    both = [subprocess.Popen([*agents, "-m", "wavenet", *given, str(tmp_path / "two")]) for _ in range(2)]
    try:
        assert [each.wait(900) for each in both] == [0, 0]
    finally:
        for each in both:
            each.kill()
    assert main([*given, str(tmp_path / "one")]) == 0
    assert distance(tmp_path / "one", tmp_path / "two") < 1e-6
