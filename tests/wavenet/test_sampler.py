"""Every engine draws the waveform that the reference draws from the same random numbers."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.errors import InputError
from tests.wavenet.networks import rings_of, small_network
from wavenet import sampler
from wavenet.distributions import GREEDY, PLAIN, Categorical, Drawing
from wavenet.model import WaveNet
from wavenet.sampler import ENGINES, generate, stream, uniforms
from wavenet.sampler.precision import PRECISIONS, rounded

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
@pytest.mark.parametrize("drawing", [GREEDY, Drawing(0.5), Drawing(2.0, top_k=9, top_p=0.8)], ids=str)
def test_engine_agrees_however_it_draws_and_on_every_device(engine, drawing, device):
    if engine == "compiled" and device.type != "cpu":
        pytest.skip("the compiled engine is for the CPU")
    model = long_network(2).to(device)
    choices = {"seeds": [5], "drawing": drawing}
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
@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
@pytest.mark.parametrize("kernel_size", [2, 3])
def test_engine_draws_the_reference_waveform_of_the_rounded_model(engine, precision, kernel_size):
    model = long_network(kernel_size)
    choices = {"seeds": range(5), "prompt": np.linspace(-1, 1, 50)}
    expected = generate(model, 200, engine="reference", precision=precision, **choices)
    assert torch.equal(generate(model, 200, engine=engine, precision=precision, **choices), expected)
    assert not torch.equal(generate(model, 200, engine=engine, **choices), expected)


@pytest.mark.parametrize(("precision", "bits"), [("float32", 32), ("bfloat16", 16), ("int8", 8)])
def test_the_compiled_engine_reads_no_more_bytes_than_the_precision_needs(precision, bits):
    from wavenet.sampler.compiled import Weights

    full, rounded_ = (Weights.of(rounded(long_network(2), each)) for each in ("float32", precision))
    assert rounded_.products.nbytes * 32 == full.products.nbytes * bits


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rounding_is_to_the_nearest_step_and_rounding_again_changes_nothing(precision):
    model = long_network(2)
    once = rounded(model, precision)
    twice = rounded(once, precision)
    largest = {"float32": 0.0, "bfloat16": 2**-8, "int8": 0.5 / 127 * (1 + 1e-4)}[precision]
    for before, after, again in zip(model.parameters(), once.parameters(), twice.parameters(), strict=True):
        assert torch.equal(after, again)
        if before.ndim == 3:  # [out, in, k]
            scale = before.abs() if precision == "bfloat16" else before.abs().amax((1, 2), keepdim=True)
            assert bool(((after - before).abs() <= largest * scale).all())


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "widths",
    [(1, 2, 1), (16, 32, 16), (17, 34, 33), (48, 96, 128), (64, 128, 256), (100, 250, 130)],
    ids=lambda widths: "×".join(map(str, widths)),
)
def test_any_channel_counts_are_compiled_right(widths, precision):
    """Every kind of panel, 128, 64, 32 and 16 columns wide, and what is left over."""
    residual, gate, skip = widths
    model = small_network(
        dilations=(1, 3, 7),
        residual_channels=residual,
        gate_channels=gate,
        skip_channels=skip,
        output=Categorical(classes=50),
    ).eval()
    for streams in (1, 2, 3, 8, 15):
        choices = {"seeds": range(streams), "precision": precision}
        expected = generate(model, 30, engine="cached", **choices)
        assert torch.equal(generate(model, 30, engine="compiled", **choices), expected), streams


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_threads_and_company_change_nothing(threads, precision):
    before = torch.get_num_threads()
    model = long_network(2)
    try:
        torch.set_num_threads(threads)
        together = generate(model, 3000, seeds=range(15), engine="compiled", precision=precision)
    finally:
        torch.set_num_threads(before)
    for seed in (0, 7, 8, 12, 14):  # of eight, four, two and one together
        assert torch.equal(
            generate(model, 3000, seeds=[seed], engine="compiled", precision=precision)[0], together[seed]
        )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("prompt", [0, 70], ids="prompt {}".format)
@pytest.mark.parametrize("done", [1, 10, 90], ids="{} done".format)
def test_continuing_a_clip_equals_not_having_stopped(engine, prompt, done):
    """The receptive field is 31: ``done`` is less, and more."""
    model = long_network(2)
    choices = {"seeds": [1, 2], "engine": engine, "prompt": np.sin(np.arange(prompt)) if prompt else None}
    whole = generate(model, 100, **choices)
    assert torch.equal(generate(model, 100 - done, drawn=whole[:, prompt : prompt + done], **choices), whole)


@pytest.mark.parametrize("engine", FAST)
def test_continuing_restores_the_state_to_the_last_bit(engine):
    """Equal codes could be luck; here the numbers inside are equal."""
    model = long_network(2)
    noise = uniforms([3, 4], 200)
    with torch.inference_mode():
        straight = ENGINES[engine](model, torch.zeros(1, 0), 2, PLAIN)
        wave = straight.draw(noise)
        resumed = ENGINES[engine](model, torch.zeros(1, 0), 2, PLAIN)
        resumed.hear(wave[:, -model.receptive_field :])
    for a, b in zip(rings_of(straight, model), rings_of(resumed, model), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("engine", FAST)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_an_engine_remembers_after_long_is_what_the_network_says(engine, precision):
    """Float32 errors do not build up: after 5000 steps the rings hold what one parallel pass computes."""
    model = rounded(long_network(2), precision)
    with torch.inference_mode():
        sampler = ENGINES[engine](model, torch.zeros(1, 0), 1, PLAIN)
        wave = sampler.draw(uniforms([0], 5000))
        fresh = ENGINES[engine](model, wave, 1, PLAIN)  # primed by one parallel pass
    for stepped, primed in zip(rings_of(sampler, model), rings_of(fresh, model), strict=True):
        assert np.abs(stepped - primed).max() < 1e-4


def test_a_model_that_cannot_be_compiled_is_refused_in_one_line(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "numba", None)
    for name in ("compiled", "kernels", "vectors"):
        monkeypatch.delitem(sys.modules, f"wavenet.sampler.{name}", raising=False)
        monkeypatch.delattr(f"wavenet.sampler.{name}", raising=False)
    with pytest.raises(InputError, match=r"needs numba.*take cached"):
        generate(long_network(2), 5, seeds=[0], engine="compiled")
    sampler._say_once.cache_clear()
    with caplog.at_level(logging.WARNING, "wavenet.sampler"):
        assert generate(long_network(2), 5, seeds=[0], engine="auto").shape == (1, 5)
    assert "going on with the engine cached" in caplog.text


@pytest.mark.slow
def test_compiling_is_announced_once_and_kept_for_the_next_process(tmp_path):
    script = (
        "import torch; from wavenet.model import WaveNet, WaveNetConfig; from wavenet.sampler import generate\n"
        "model = WaveNet(WaveNetConfig(dilations=(1,), residual_channels=16, gate_channels=32, skip_channels=16))\n"
        "print(generate(model.eval(), 50, seeds=[0]).shape)"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (
        subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    assert first.stdout == second.stdout == "torch.Size([1, 50])\n"
    assert first.stderr.count("compiling the sampler") == 1
    assert second.stderr == ""


def test_what_numba_cannot_compile_is_drawn_by_cached(monkeypatch, caplog):
    from wavenet.sampler import compiled

    def broken(*_):
        raise EOFError("a spoilt cache")

    monkeypatch.setattr(compiled.Streams, "go_on", broken)
    sampler._say_once.cache_clear()
    model = long_network(2)
    with pytest.raises(InputError, match=r"cannot be compiled here.*spoilt.*cached"):
        generate(model, 5, seeds=[0], engine="compiled")
    with caplog.at_level(logging.WARNING, "wavenet.sampler"):
        drawn = [generate(model, 50, seeds=[0], engine="auto") for _ in range(2)]
    assert torch.equal(drawn[0], generate(model, 50, seeds=[0], engine="reference"))
    assert caplog.text.count("going on with the engine cached") == 1


@pytest.mark.parametrize(("name", "right"), [("tanh", np.tanh), ("exp", np.exp)])
def test_vector_functions_are_within_five_units_in_the_last_place(name, right):
    import numba

    from wavenet.sampler import vectors

    formula = getattr(vectors, name)
    function = vectors.elementwise(lambda a, _: formula(a))
    call = numba.njit(lambda y, x: function(y, 0, x, 0, x, 0, len(x)))
    low, high = (-12, 12) if name == "tanh" else (-87, 0)
    x = np.linspace(low, high, 2**16, dtype=np.float32)
    y = np.empty_like(x)
    call(y, x)
    exact = right(x.astype(np.float64))
    assert (np.abs(y - exact) / np.spacing(np.abs(exact).astype(np.float32))).max() < 5


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_asked_for_is_nothing_drawn_and_nonsense_is_refused(engine):
    model = long_network(2)
    assert generate(model, 0, seeds=[1, 2], engine=engine).shape == (2, 0)
    with pytest.raises(ValueError, match="NaN"):
        generate(model, 5, seeds=[1], engine=engine, prompt=[0.0, np.nan])
    whole = generate(model, 20, seeds=[1], engine=engine, drawing=Drawing(1))  # a whole number is a number
    assert torch.equal(whole, generate(model, 20, seeds=[1], engine=engine))


@pytest.mark.slow
def test_a_million_samples_do_not_drift_and_take_no_more_memory_than_a_thousand():
    script = """
import torch
from tests.reliability.memory import peak
from tests.wavenet.networks import rings_of
from tests.wavenet.test_sampler import long_network
from wavenet.distributions import PLAIN
from wavenet.sampler import ENGINES, uniforms
model = long_network(2)
with torch.inference_mode():
    sampler = ENGINES["compiled"](model, torch.zeros(1, 0), 1, PLAIN)
    wave = sampler.draw(uniforms([0], 1000))
    before = peak()
    for at in range(1000, 1_000_000, 1000):
        wave = sampler.draw(uniforms([0], 1000, at))
    assert peak() - before < 20_000_000
    fresh = ENGINES["compiled"](model, wave, 1, PLAIN)
for stepped, primed in zip(rings_of(sampler, model), rings_of(fresh, model), strict=True):
    assert abs(stepped - primed).max() < 1e-4
"""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=True)
