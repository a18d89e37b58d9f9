"""Every engine draws the waveform that the reference draws from the same random numbers."""

import sys

import numpy as np
import pytest
import torch

from shared.errors import InputError
from tests.wavenet.networks import small_network
from wavenet.model import WaveNet
from wavenet.sampler import ENGINES, generate, stream, uniforms
from wavenet.sampler.precision import rounded

FAST = [name for name in ENGINES if name != "reference"]


def long_network(kernel_size):
    return small_network(
        kernel_size=kernel_size, dilations=(1, 2, 4, 8, 1, 2, 4, 8), residual_channels=12, gate_channels=20
    ).eval()


@pytest.mark.parametrize("engine", FAST)
@pytest.mark.parametrize("kernel_size", [1, 2, 3])
@pytest.mark.parametrize("prompt", [0, 3, 100], ids="prompt {}".format)
@pytest.mark.parametrize("batch", [1, 3, 6])
def test_engine_draws_the_reference_waveform(engine, kernel_size, prompt, batch):
    model = long_network(kernel_size)
    choices = {"seeds": range(batch), "prompt": np.random.default_rng(0).uniform(-1, 1, prompt) if prompt else None}
    expected = generate(model, 200, engine="reference", **choices)
    assert expected.shape == (batch, prompt + 200)
    assert len(expected[:, prompt:].unique()) > 5  # not a constant that any engine would get right
    assert torch.equal(generate(model, 200, engine=engine, **choices), expected)


@pytest.mark.parametrize("engine", FAST)
@pytest.mark.parametrize("temperature", [0.0, 0.5, 2.0])
def test_engine_agrees_at_every_temperature(engine, temperature, device):
    if engine == "compiled" and device.type != "cpu":
        pytest.skip("the compiled engine is for the CPU")
    model = long_network(2).to(device)
    choices = {"seeds": [5], "temperature": temperature}
    assert torch.equal(
        generate(model, 100, engine=engine, **choices), generate(model, 100, engine="reference", **choices)
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_clip_depends_on_its_seed_and_not_on_its_neighbours(engine):
    model = long_network(2)
    together = generate(model, 50, seeds=[3, 4, 5], engine=engine)
    alone = generate(model, 50, seeds=[4], engine=engine)
    assert torch.equal(together[1:2], alone)
    assert not torch.equal(together[0], together[1])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_longer_clip_begins_like_a_shorter_one(engine):
    model = long_network(2)
    assert torch.equal(
        generate(model, 60, seeds=[1], engine=engine)[:, :40], generate(model, 40, seeds=[1], engine=engine)
    )


@pytest.mark.parametrize("engine", FAST)
def test_a_real_preset_agrees_too(engine):
    model = WaveNet().eval()
    with torch.no_grad():
        model.output.weight.normal_(0, 0.3)
    choices = {"seeds": [0], "prompt": np.sin(np.arange(500) / 10)}
    assert torch.equal(generate(model, 8, engine=engine, **choices), generate(model, 8, engine="reference", **choices))


def test_blocks_arrive_while_the_clip_grows():
    model = long_network(2)
    blocks = list(stream(model, 2000, seeds=[0], engine="cached"))
    assert len(blocks) > 1
    assert torch.equal(torch.cat(blocks, dim=1), generate(model, 2000, seeds=[0]))


def test_random_numbers_are_a_function_of_seed_and_place():
    whole = uniforms([3, 9], 50)
    assert torch.equal(uniforms([9], 50), whole[1:])
    for start in range(10):
        assert torch.equal(uniforms([3, 9], 50 - start, start=start), whole[:, start:])
    assert bool(((whole >= 0) & (whole < 1)).all())


def test_the_method_gives_a_clip_that_saves_and_plays(tmp_path):
    clip = long_network(2).generate(seconds=0.01, seed=0)
    assert clip.save(tmp_path / "a.wav").exists()
    assert len(np.asarray(clip)) == len(clip) == 160
    assert clip._repr_html_().startswith("<audio controls")


@pytest.mark.parametrize("engine", FAST)
@pytest.mark.parametrize("kernel_size", [2, 3])
def test_engine_draws_the_reference_waveform_in_bfloat16(engine, kernel_size):
    model = long_network(kernel_size)
    choices = {"seeds": range(5), "prompt": np.linspace(-1, 1, 50)}
    expected = generate(model, 200, engine="reference", precision="bfloat16", **choices)
    assert torch.equal(generate(model, 200, engine=engine, precision="bfloat16", **choices), expected)
    assert not torch.equal(generate(model, 200, engine=engine, **choices), expected)


def test_the_compiled_engine_reads_half_the_bytes_of_a_rounded_model():
    from wavenet.sampler.compiled import Weights

    model = long_network(2)
    full, half = (Weights.of(rounded(model, precision)) for precision in ("float32", "bfloat16"))
    assert half.dilated.nbytes * 2 == full.dilated.nbytes
    assert half.skip.nbytes * 2 == full.skip.nbytes


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_and_company_change_nothing(threads):
    before = torch.get_num_threads()
    model = long_network(2)
    try:
        torch.set_num_threads(threads)
        together = generate(model, 3000, seeds=range(7), engine="compiled")
    finally:
        torch.set_num_threads(before)
    for seed in (0, 3, 6):
        assert torch.equal(generate(model, 3000, seeds=[seed], engine="compiled")[0], together[seed])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("done", [1, 30, 90])
def test_continuing_a_clip_equals_not_having_stopped(engine, done):
    model = long_network(2)
    whole = generate(model, 100, seeds=[1, 2], engine=engine)
    rest = generate(model, 100 - done, seeds=[1, 2], prompt=whole[:, :done], start=done, engine=engine)
    assert torch.equal(rest, whole)


def test_a_model_that_cannot_be_compiled_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "wavenet.sampler.compiled", raising=False)
    monkeypatch.delitem(sys.modules, "wavenet.sampler.kernels", raising=False)
    monkeypatch.delattr("wavenet.sampler.compiled", raising=False)
    with pytest.raises(InputError, match=r"needs numba.*take cached"):
        generate(long_network(2), 5, seeds=[0], engine="compiled")
    assert generate(long_network(2), 5, seeds=[0], engine="auto").shape == (1, 5)


@pytest.mark.slow
def test_a_million_samples_take_no_more_memory_than_a_thousand():
    import resource

    model = long_network(2)
    blocks = stream(model, 1_000_000, seeds=[0], engine="compiled")
    next(blocks)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    drawn = sum(block.shape[1] for block in blocks)
    assert drawn > 990_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB
