"""The study of the defaults is fair: one thing changed at a time, equal minutes, dropout only while training."""

from dataclasses import asdict, replace

import pytest
import torch

from recipes.benchmarks import defaults
from recipes.benchmarks.training import QUICK
from tests.melodies import write_melodies
from wavenet.data.recordings import recordings
from wavenet.model import PRESETS, WaveNet
from wavenet.run import TrainConfig

FEW = TrainConfig(targets=64, excerpts=4, batch=2, warmup=2, precision="float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_melodies(tmp_path_factory.mktemp("melodies"), [f"melody {at}" for at in range(4)], 0.5)


@pytest.mark.parametrize("variant", defaults.VARIANTS[1:], ids=lambda variant: variant.name)
def test_a_variant_is_legal_and_not_the_default(variant):
    model, train = replace(PRESETS["small"], **variant.model), replace(TrainConfig(), **variant.train)
    changed = [asdict(model) != asdict(PRESETS["small"]), train != TrainConfig(), variant.shape, variant.dropout]
    assert sum(map(bool, changed)) == 1


def test_rates_begin_at_the_peak_and_end_where_they_say():
    shapes = {variant.name: variant.shape for variant in defaults.VARIANTS if variant.shape}
    assert [shape(0.0) for shape in shapes.values()] == [1.0, 1.0, 1.0]
    assert [shapes[name](1.0) for name in shapes] == [1.0, 0.0, 0.0]
    assert defaults.held_then_falling(0.8) == pytest.approx(1.0)


def test_without_dropout_the_network_is_ours_and_with_it_only_while_training():
    ours = WaveNet(QUICK)
    torch.nn.init.normal_(ours.output.weight)
    wave = torch.rand(1, 400) - 0.5
    for dropout in (0.0, 0.5):
        model = defaults.Dropped(QUICK)
        model.dropout = dropout
        model.load_state_dict(ours.state_dict())
        assert torch.equal(model.eval().nll(wave), ours.nll(wave))
        assert torch.equal(model.train().nll(wave), ours.nll(wave)) == (dropout == 0)


def test_all_get_the_same_minutes_and_the_table_says_what_came_of_it(folder, capsys, tmp_path):
    out = tmp_path / "defaults.md"
    flags = ["--data", str(folder), "--minutes", "0.004", "--slice", "0.1", "--only", "constant rate", "--quick", "-q"]
    assert defaults.main([*flags, "-o", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert capsys.readouterr().out == text
    body = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert sorted(line.split("|")[1].strip() for line in body) == ["a constant rate", "the defaults"]
    assert all(int(line.split("|")[4]) > 1 for line in body)


def test_the_learner_of_a_variant_has_its_network(folder):
    tracks = recordings(folder).load(0.3)
    kernel = next(each for each in defaults.VARIANTS if each.name == "kernel 3")
    learner = defaults.learner(kernel, QUICK, FEW, tracks, budget=60.0)
    assert learner.model.config.kernel_size == 3
    learner.learn(0.05)
    assert learner.step > 0
