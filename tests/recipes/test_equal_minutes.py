"""Equal minutes are equal: one clock each, one network, one way of scoring."""

import json
import time

import numpy as np
import pytest
import torch

from recipes.benchmarks import equal_minutes, loops
from recipes.benchmarks.public_style import PublicStyleWaveNet
from recipes.benchmarks.training import QUICK
from tests.melodies import write_melodies
from tests.wavenet.networks import small_network
from wavenet.data.plucks import melody
from wavenet.data.recordings import recordings
from wavenet.data.tracks import ArrayTrack
from wavenet.run import TrainConfig

FEW = TrainConfig(targets=64, excerpts=4, batch=2, warmup=1, precision="float32")
HELD = [ArrayTrack("held", melody(0.25, np.random.default_rng(9)))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_melodies(tmp_path_factory.mktemp("melodies"), [f"melody {at}" for at in range(4)], 0.5)


@pytest.fixture
def field(folder):
    return loops.contenders(QUICK, FEW, recordings(folder).load(0.3), 128, budget=60.0)


def test_a_run_leaves_a_table_and_a_curve_and_gives_everyone_the_same_time(folder, capsys, tmp_path):
    out = tmp_path / "equal.md"
    times = ["--minutes", "0.004", "--marks", "2", "--slice", "0.1"]
    assert equal_minutes.main(["--data", str(folder), *times, "--quick", "-q", "--json", "-o", str(out)]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    for row in rows:
        assert row["cpu_seconds"] >= 0.24
        assert row["steps"] > 1
        assert [minutes for minutes, _ in row["curve"]] == pytest.approx([0.002, 0.004])
        assert 0 < row["all_held"] < 10
        assert 0 < row["complete_targets_per_second"] <= row["targets_per_second"]
    text = out.read_text(encoding="utf-8")
    header, _, *body = [line for line in text.splitlines() if line.startswith("|")]
    columns = [cell.strip() for cell in header.strip("|").split("|")]
    assert columns[2:5] == ["0.002 min", "0.004 min", "all held back"]
    names = ["ours", "public network, our loop", "public, Adam 0.001", "public, Adam 0.0002"]
    assert [line.split("|")[1].strip() for line in body] == [row["contender"] for row in rows] == names
    assert "another machine" in text
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_the_table_is_written_after_every_round_so_a_stop_loses_nothing(folder, tmp_path, monkeypatch):
    out, learn = tmp_path / "equal.md", loops.Learner.learn
    rounds = []

    def stopped(learner, until):
        rounds.append(until)
        if len(rounds) == 5:  # the first contender's second slice
            assert "ours" in out.read_text(encoding="utf-8")
            raise KeyboardInterrupt
        learn(learner, until)

    monkeypatch.setattr(loops.Learner, "learn", stopped)
    times = ["--minutes", "0.002", "--marks", "1", "--slice", "0.06"]
    assert equal_minutes.main(["--data", str(folder), *times, "--quick", "-q", "-o", str(out)]) == 130
    assert "ours" in out.read_text(encoding="utf-8")


def test_a_learner_stops_at_the_first_step_behind_its_time(field, monkeypatch):
    now = [0.0]

    def tick():
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(time, "process_time", tick)  # so a step takes 1 second
    learner = field[0]
    learner.learn(2.5)
    assert (learner.step, learner.cpu) == (3, 3.0)
    learner.learn(2.5)
    assert learner.step == 3
    learner.learn(4.0)
    assert learner.step == 4


@pytest.mark.parametrize("shape", [{}, {"kernel_size": 3}, {"dilations": (3,)}], ids=str)
def test_public_weights_in_our_form_are_the_same_network(shape):
    model = small_network(**shape).double()
    public = PublicStyleWaveNet.from_wavenet(model)
    with torch.no_grad():
        for parameter in public.parameters():  # its own biases, which ours has no place for, among them
            parameter.normal_(0, 0.5)
    back = loops.as_wavenet(public).double()
    wave = torch.rand(2, model.receptive_field + 30, dtype=torch.float64) * 2 - 1
    ours = back.nll(wave).double()
    torch.testing.assert_close(public.nll(wave)[:, model.receptive_field :], ours, atol=1e-4, rtol=1e-4)


def test_our_loop_teaches_the_public_network_what_it_teaches_ours(field):
    ours, public, *_ = ([next(learner.steps).loss for _ in range(12)] for learner in field)
    assert public == pytest.approx(ours, rel=0.01)  # but for the many biases that public networks have for one
    assert ours[-1] < ours[0] - 0.2


def test_the_usual_loop_lowers_the_bits_too(field):
    *_, quick, slow = field
    for learner in (quick, slow):
        before = learner.bits(HELD, 64)
        for _ in range(30):
            next(learner.steps)
        assert learner.bits(HELD, 64) < before
