"""Processes that share a run of segmentation take the steps of one, batch norm, dropout and all."""

import itertools
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import safetensors.torch

from segmentation import trainer
from segmentation.cli import main
from segmentation.commands.train import finished
from segmentation.data import Shapes
from segmentation.data.crops import Crops
from segmentation.losses import OHEM, CrossEntropy, Dice, Sum
from segmentation.networks import DeepLabV3, PoolFree
from shared.cli import INTERRUPTED
from shared.training import checkpoint
from shared.training.processes import LOST
from shared.training.whole_batch import BatchNorm2d
from tests.segmentation.conftest import TINY
from tests.segmentation.test_trainer import QUIET, RUN, assert_same
from tests.teams import as_team

STEPS = 20
PLAN = replace(QUIET, steps=STEPS)
# batch norm has a difference in rounding grow with each step; the proof of promise 6 has 20, in float64
FEW = replace(QUIET, steps=4)
SGD = replace(RUN.train, batch=5, optimizer="sgd", learning_rate=0.01, warmup=0, workers=0)
SHARED = replace(RUN, train=SGD)  # with dropout; shares of 2 and 3 crops


def distance(one, other):
    """The largest between two runs' weights and statistics, those above 1 by their size."""
    mine, yours = (safetensors.torch.load_file(folder / "resume.safetensors") for folder in (one, other))
    names = [name for name in mine if name.startswith(("model.", "average.")) and mine[name].is_floating_point()]
    return max(float(((mine[name] - yours[name]) / mine[name].abs().clamp_min(1)).abs().max()) for name in names)


def at_step(monkeypatch, happens):
    """Have ``happens(step, rank)`` called in each process before it reads what it needs for a step."""
    read = Crops.batch

    def batch(self, step):
        happens(step, int(os.environ["RANK"]))
        return read(self, step)

    monkeypatch.setattr(Crops, "batch", batch)


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


def test_two_processes_take_the_steps_of_one(tmp_path):
    trainer.start(SHARED, tmp_path / "one", FEW)
    assert as_team(2, trainer.start, SHARED, tmp_path / "two", FEW) == [0, 0]
    assert distance(tmp_path / "one", tmp_path / "two") < 5e-6


def test_there_is_one_diary_and_one_evaluation(alone, two):
    ours, theirs = (
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()] for folder in (alone, two)
    )
    assert [each["step"] for each in ours] == [each["step"] for each in theirs]
    losses = [[each["loss"] for each in records if "loss" in each] for records in (ours, theirs)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
    assert losses[0][:5] == pytest.approx(losses[1][:5], rel=1e-5)
    assert (two / "metrics.json").exists()


@pytest.mark.parametrize(
    ("network", "loss"),
    [
        (DeepLabV3(depth=18, width=8, channels=16, auxiliary=True), Sum(first=OHEM(), second=Dice())),
        (PoolFree(width=8), CrossEntropy(weights="median")),
    ],
    ids=["auxiliary head, hard pixels and Dice", "no pooling, weighted classes"],
)
def test_whatever_the_network_and_the_loss(network, loss, tmp_path):
    run = replace(SHARED, network=network, train=replace(SGD, loss=loss, batch=3, accumulate=2))
    trainer.start(run, tmp_path / "one", FEW)
    assert as_team(3, trainer.start, run, tmp_path / "three", FEW) == [0, 0, 0]
    assert distance(tmp_path / "one", tmp_path / "three") < 1e-4


def test_bfloat16_products_differ_by_their_own_rounding(tmp_path):
    run = replace(SHARED, network=replace(RUN.network, width=16), train=replace(SGD, precision="bfloat16"))
    trainer.start(run, tmp_path / "one", FEW)
    assert as_team(2, trainer.start, run, tmp_path / "two", FEW) == [0, 0]
    assert distance(tmp_path / "one", tmp_path / "two") < 5e-2


def test_a_checkpoint_does_not_say_how_many_processes_go_on(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    trainer.start(SHARED, tmp_path / "one", FEW)
    at_step(monkeypatch, lambda step, rank: step in (1, 2) and rank == 0 and os.kill(os.getpid(), signal.SIGTERM))
    assert as_team(2, trainer.start, SHARED, folder, FEW) == [0, INTERRUPTED]
    assert as_team(1, trainer.resume, folder, QUIET) == [0]
    assert as_team(2, trainer.resume, folder, QUIET) == [0, 0]
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [each["step"] for each in records if "loss" in each] == [1, 2, 3, 4]
    assert distance(tmp_path / "one", folder) < 5e-6


def test_a_lost_process_ends_all_and_a_restart_ends_as_if_nothing_had_been(two, tmp_path, monkeypatch):
    folder = tmp_path / "run"

    def killed_at_16(step, rank):
        if step == 16 and rank == 1 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)

    at_step(monkeypatch, killed_at_16)
    assert as_team(2, trainer.start, SHARED, folder, PLAN) == [LOST, -signal.SIGKILL]
    assert checkpoint.training_state(folder)["step"] == 10
    assert as_team(2, trainer.start, SHARED, folder, PLAN, restarts=1) == [0, 0]  # the same call: it goes on
    assert_same(two, folder)


def test_what_one_process_is_asked_to_do_all_do_after_the_same_step(tmp_path, monkeypatch):
    def work():
        raise SystemExit(finished(trainer.start(SHARED, tmp_path / "run", PLAN)))

    at_step(monkeypatch, lambda step, rank: step == 13 and rank == 1 and os.kill(os.getpid(), signal.SIGTERM))
    assert as_team(2, work) == [INTERRUPTED, INTERRUPTED]
    assert checkpoint.training_state(tmp_path / "run")["step"] == 14


def test_different_pictures_are_refused(tmp_path, monkeypatch):
    load = Shapes.load

    def other(self, *given):
        return load(replace(self, count=24 + int(os.environ["RANK"])), *given)

    monkeypatch.setattr(Shapes, "load", other)
    assert as_team(2, trainer.start, SHARED, tmp_path / "run", PLAN) == [1, 1]
    assert not (tmp_path / "run").exists()


def test_a_process_killed_within_a_layer_ends_all(tmp_path, monkeypatch):
    statistics, calls = BatchNorm2d._statistics, itertools.count()

    def killed(self, given):
        if self.team.rank == 1 and next(calls) == 100:
            os.kill(os.getpid(), signal.SIGKILL)
        return statistics(self, given)

    monkeypatch.setattr(BatchNorm2d, "_statistics", killed)
    assert as_team(2, trainer.start, SHARED, tmp_path / "run", PLAN) == [LOST, -signal.SIGKILL]


def test_what_is_wrong_is_said_before_processes_start(two, pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("segmentation.commands.train.launched", None)

    def said(*given):
        assert main(["train", *given, "--procs", "3"]) == 1
        return capsys.readouterr().err

    new = str(tmp_path / "new")
    assert "not empty" in said(str(pictures), "-o", str(two), "--steps", "1")
    assert "--steps or --minutes" in said(str(pictures), "-o", new)
    assert "cannot share a batch of 2" in said(str(pictures), "-o", new, "--steps", "1", *TINY)
    assert "no such folder" in said("--resume", new)
    assert main(["train", "--resume", str(two), "--procs", "9"]) == 1
    assert "9 processes cannot share a batch of 5; start fewer" in capsys.readouterr().err
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "elsewhere")
    assert "torchrun has started" in said(str(pictures), "-o", new, "--steps", "1")


@pytest.mark.slow
def test_the_command_starts_its_processes(pictures, tmp_path):
    given = [
        sys.executable, "-m", "segmentation", "train", str(pictures), *TINY, "--steps", "3", "-q", "--threads", "1",
    ]  # fmt: skip
    given += ["--set", "train.batch=4", "--set", "train.optimizer=sgd", "--set", "train.precision=float32", "-o"]
    subprocess.run([*given, str(tmp_path / "one")], check=True, timeout=600)
    subprocess.run([*given, str(tmp_path / "two"), "--procs", "2"], check=True, timeout=600)
    assert distance(tmp_path / "one", tmp_path / "two") < 1e-5
