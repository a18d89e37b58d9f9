"""The benchmarks run, their yardstick is the same network as ours, and the work they count is the work that is done."""

import json

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from recipes.benchmarks import drawing, machine, sampling, training
from recipes.benchmarks.public_style import PublicStyleSampler, PublicStyleWaveNet
from shared import dense
from tests.wavenet.networks import small_network
from wavenet.distributions.categorical import mu_law_encode
from wavenet.model import WaveNet, WaveNetConfig
from wavenet.sampler import ENGINES, generate, uniforms

NETWORKS = pytest.mark.parametrize(
    "shape", [{}, {"kernel_size": 3}, {"kernel_size": 1, "gate_channels": 12}], ids=["usual", "kernel 3", "kernel 1"]
)


def rows_of(text: str) -> list[dict[str, str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    header, _, *body = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(header, cells, strict=True)) for cells in body]


def number(cell: str) -> float:
    return float(cell.replace(",", "").rstrip("%"))


def test_training_benchmark_prints_a_table_of_numbers(capsys, tmp_path):
    assert training.main(["--quick", "--quiet", "--threads", "1", "-o", str(tmp_path / "table.md")]) == 0
    text = capsys.readouterr().out
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == text
    assert torch.__version__ in text
    rows = rows_of(text)
    assert [(row["contender"], row["precision"]) for row in rows] == [
        ("ours, one crop", "float32"),
        ("ours, one crop", "bfloat16"),
        ("ours, as trained", "float32"),
        ("ours, as trained", "bfloat16"),
        ("public style", "float32"),
    ]
    for row in rows:
        assert all(number(cell) > 0 for column, cell in list(row.items())[2:] if column != "spread"), row
    *_, yardstick = rows
    assert number(yardstick["× public style"]) == number(yardstick["× public style, complete"]) == 1
    counted, complete = "targets/s, as each counts", "targets/s with complete context"
    field = training.QUICK.receptive_field
    assert number(yardstick[complete]) / number(yardstick[counted]) == pytest.approx(1 - field / 256, rel=1e-3)
    assert all(row[complete] == row[counted] for row in rows[:-1])


def test_sampling_benchmark_finds_every_engine_agreeing(capsys):
    assert sampling.main(["--quick", "--quiet"]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert {(row["engine"], row["streams"]) for row in rows} == {
        (engine, streams)
        for engine in [*ENGINES, *drawing.ROUNDED, drawing.YARDSTICK, drawing.FLATTENED]
        for streams in "13"
        if (engine, streams) != ("reference", "3")
    }
    for row in rows:
        *figures, clip, agreement = list(row.values())[2:]
        same, _, of = agreement.partition("/")
        assert agreement == "is it" if row["engine"] == "reference" else int(same) == int(of) > 0
        assert number(clip) > 0
        assert all(
            number(cell) > 0
            for column, cell in zip(list(row)[2:], figures, strict=False)
            if column != "spread" and cell != "–"
        )
        assert (row["GB/s of weights"] != "–") == row["engine"].startswith("compiled")


def test_json_holds_the_machine_and_the_same_rows(capsys):
    assert sampling.main(["--quick", "--quiet", "--json", "--rounds", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["torch"] == torch.__version__
    assert all(row["samples_per_second"] > 0 and row["first_sample_seconds"] > 0 for row in found["rows"])


@NETWORKS
def test_the_yardstick_is_the_same_network_where_the_context_is_complete(shape):
    model = small_network(**shape).double()
    public = PublicStyleWaveNet.from_wavenet(model)
    field = model.receptive_field
    wave = torch.rand(2, field + 40, dtype=torch.float64) * 2 - 1
    ours, theirs = model.nll(wave).double(), public.nll(wave)
    assert theirs.shape == wave.shape
    torch.testing.assert_close(theirs[:, field:], ours, atol=1e-5, rtol=1e-5)  # ours takes the logarithm in float32
    with torch.no_grad():
        assert not torch.allclose(theirs[:, :field], model.config.output.nll(model(wave), wave)[:, :field].double())

    ours.sum().backward()
    theirs[:, field:].sum().backward()
    with torch.no_grad():  # the translation of weights is linear, so it translates gradients too
        for parameter in model.parameters():
            parameter.copy_(parameter.grad)
    expected = dict(PublicStyleWaveNet.from_wavenet(model).named_parameters())
    for name, parameter in public.named_parameters():
        if name == "input.bias":  # ours has none
            continue
        true = expected[
            "layers.0.skip.bias" if name.endswith("skip.bias") else name
        ].detach()  # ours has one for the sum
        torch.testing.assert_close(
            parameter.grad, true, atol=1e-5 * float(true.abs().max() + 1), rtol=1e-5, msg=f"{name}: {{}}".format
        )


@NETWORKS
def test_the_yardstick_draws_what_our_engines_draw(shape):
    model = small_network(**shape).eval()
    prompt = torch.rand(2, model.receptive_field + 3) * 2 - 1
    expected = torch.cat([generate(model, 60, seeds=[seed], prompt=past) for seed, past in enumerate(prompt)])[:, -60:]
    assert len(expected.unique()) > 5
    for convolve in (False, True):
        sampler = PublicStyleSampler(PublicStyleWaveNet.from_wavenet(model), 2, convolve=convolve)
        sampler.hear(prompt)
        assert torch.equal(sampler.draw(uniforms([0, 1], 60)), expected)


def test_its_sampler_follows_its_own_parallel_form_from_the_very_first_sample():
    public = PublicStyleWaveNet.from_wavenet(small_network())
    numbers = uniforms([0, 1], 30)
    wave = PublicStyleSampler(public, 2).draw(numbers)
    codes = mu_law_encode(wave, public.classes)
    with torch.no_grad():
        logits = public(nn.functional.pad(public.one_hot(codes), (1, -1))).transpose(1, 2)
    cumulative = torch.softmax(logits.double(), -1).cumsum(-1)
    assert torch.equal((cumulative <= numbers[..., None]).sum(-1), codes)
    again = PublicStyleSampler(public, 2)
    again.hear(wave[:, :20])
    assert torch.equal(again.draw(numbers[:, 20:]), wave[:, 20:])


def test_one_sample_of_the_base_preset_takes_1_24_million_multiply_adds():
    long = 10**7  # so that the context counts for nothing
    forward = training.multiply_adds(WaveNetConfig(), long) / 3 / long
    dead_residual = 64 * 64  # of the last layer, which ours does not have
    assert forward + dead_residual == pytest.approx(1_236_992, rel=1e-3)
    one_hot = 256 * 64
    assert training.multiply_adds_public_style(WaveNetConfig(), 1) == 3 * (1_236_992 - dead_residual) + 2 * one_hot


@pytest.mark.parametrize("config", [training.QUICK, small_network(kernel_size=3).config], ids=["usual", "kernel 3"])
def test_counted_work_is_the_work_that_torch_does(monkeypatch, config):
    monkeypatch.setattr(dense, "_onednn_serves", lambda _: False)  # torch counts its own products only
    targets = 17
    ours = WaveNet(config)
    public = PublicStyleWaveNet.from_wavenet(ours)
    for model, length, expected in (
        (ours, config.receptive_field + targets, training.multiply_adds(config, targets)),
        (public, 50, training.multiply_adds_public_style(config, 50)),
    ):
        with FlopCounterMode(display=False) as counter:
            model.nll(torch.zeros(1, length)).sum().backward()
        assert counter.get_total_flops() == 2 * expected


def test_contenders_start_from_the_same_weights():
    contenders = training.contenders(training.QUICK, 256, training.TrainConfig())
    first, *others = [each.model for each in contenders]
    for other in others:
        twin = PublicStyleWaveNet.from_wavenet(first) if isinstance(other, PublicStyleWaveNet) else first
        for mine, its in zip(twin.parameters(), other.parameters(), strict=True):
            assert mine is not its
            assert torch.equal(mine, its)


def test_weights_are_read_once_for_up_to_eight_streams_a_thread():
    assert [drawing.readings(n, 1) for n in (1, 2, 3, 8, 15, 32)] == [1, 1, 2, 1, 4, 4]
    assert [drawing.readings(n, 2) for n in (1, 2, 8, 32)] == [1, 2, 2, 4]
    assert drawing.multiply_adds(WaveNetConfig()) == 1_236_992 - 64 * 64


@torch.inference_mode()
def test_an_engine_that_disagrees_is_caught():
    model, public = small_network().eval(), nn.Identity()
    start = drawing.contenders(model, public)["cached"]
    prompts = torch.zeros(4, 0)
    expected = start(prompts[:2]).draw(uniforms(range(2), 20)).clone()
    assert drawing.agreeing(start, expected, prompts) == (40, 40)
    assert drawing.agreeing(start, expected, prompts[:1]) == (20, 20)
    expected[1, 5] += 0.25
    assert drawing.agreeing(start, expected, prompts) == (25, 40)


def test_candidates_take_turns_and_the_first_round_does_not_count():
    called = []
    seconds = machine.alternating({name: lambda name=name: called.append(name) for name in "ab"}, rounds=3)
    assert "".join(called) == "abababab"
    assert {name: len(each) for name, each in seconds.items()} == {"a": 3, "b": 3}


def test_median_and_spread():
    assert machine.Timing.of([1.0, 2.0, 4.0]) == machine.Timing(seconds=2.0, spread=1.5)


def test_the_ceiling_names_its_product_and_leaves_the_threads_alone():
    before = torch.get_num_threads()
    low = machine.Ceiling(1.0, "a", {"a": 1.0, "b": 0.5})
    assert low.or_better(machine.Ceiling(2.0, "b", {"a": 0.5, "b": 2.0})) == machine.Ceiling(2, "b", {"a": 1, "b": 2})
    found = machine.ceiling(torch.float32, 1, rounds=1, square=64, rows=64)
    assert found.each[found.by] == found.gflops == max(found.each.values()) > 0
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("load", "warned"), [(0.2, False), (1.5, True), (None, False)])
def test_a_busy_machine_is_said_to_be_one(load, warned):
    here = machine.Machine("a cpu", 2, "AVX2", (1, 2), "today", "3.11", "2.11", "2.4", load)
    assert ("do not trust" in here.markdown()) == warned
    assert "\n" not in here.markdown()


def test_the_machine_describes_itself():
    here = machine.Machine.here([1])
    assert all((here.cpu, here.cores, here.instructions, here.date, here.python, here.torch, here.numpy))


@pytest.mark.slow
def test_segmentation_benchmark_holds_ours_against_torchvisions(capsys):
    pytest.importorskip("torchvision")
    from recipes.benchmarks import segmentation

    assert segmentation.main(["--quick", "--quiet", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) == 8
    assert all(row["seconds"] > 0 for row in rows)
    (ours,) = [row for row in rows if row["contender"] == "atrous, float32" and row["other_pixels"] is not None]
    assert ours["other_pixels"] < 1e-3
