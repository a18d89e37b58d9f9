"""Told clips: gone on with, in company, of different lengths. ``test_agreement`` holds engines to the reference."""

import numpy as np
import pytest
import torch

from tests.wavenet.networks import rings_of
from tests.wavenet.test_conditioning import FRAMES, KINDS, NAMES, network, told
from wavenet.bench import bench
from wavenet.conditioning import Condition, Frames
from wavenet.model import WaveNet, WaveNetConfig
from wavenet.sampler import ENGINES, begin, generate, run, stream, uniforms
from wavenet.sampler.batch import generate_batch

STREAMS = 3


def condition_of(kind: str) -> Condition:
    return told(*KINDS[kind], batch=STREAMS)


@pytest.mark.parametrize("engine", ENGINES)
def test_going_on_with_a_told_clip_is_drawing_it_in_one(engine: str) -> None:
    model = network("both").eval()
    choices = {"seeds": [1, 2, 3], "condition": condition_of("both"), "engine": engine, "prompt": torch.rand(9) - 0.5}
    whole = generate(model, 80, **choices)[:, 9:]
    for before in (5, 30, 70):  # shorter and longer than the receptive field
        rest = torch.cat(list(stream(model, 80 - before, drawn=whole[:, :before], **choices)), dim=1)
        assert torch.equal(rest, whole[:, before:])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [1, 320])
def test_a_compiled_clip_depends_neither_on_its_company_nor_on_being_gone_on_with(kind: str, samples: int) -> None:
    """Equal samples could be luck; here the numbers inside are equal, to the last bit. Wide, for matrices worth it."""
    labels, frames = NAMES if kind != "frames" else None, Frames() if kind != "labels" else None
    shape = {"residual_channels": 48, "gate_channels": 96, "skip_channels": 64, "labels": labels, "frames": frames}
    model, clips = WaveNet(WaveNetConfig(dilations=(1, 2, 4, 8), **shape)).eval(), 5
    condition, noise = told(labels, frames, batch=clips), uniforms(range(clips), samples)
    wave = run(model, noise, engine="compiled", condition=condition)

    @torch.inference_mode()
    def inside(rows: list[int], heard: int = 0) -> list[np.ndarray]:
        """What is remembered behind the wave: of it, so many samples were given, from as late on as can be."""
        left = max(0, heard - model.receptive_field)
        given = Condition(*(None if each is None else each[rows] for each in (condition.label, condition.frames)))
        sampler = begin(model, "compiled", streams=len(rows), condition=given.later(left))
        if heard:
            sampler.hear(wave[rows, left:heard])
        sampler.draw(noise[rows, heard:])
        return [ring.reshape(len(ring), len(rows), -1) for ring in rings_of(sampler, model)]

    together = inside(list(range(clips)))
    for row in range(clips):
        for heard in (0, samples // 2, samples):
            for ring, alone in zip(together, inside([row], heard), strict=True):
                assert np.array_equal(ring[:, row], alone[:, 0]), (row, heard)


@pytest.mark.parametrize("engine", ENGINES)
def test_clips_of_different_lengths_and_conditions_together_are_those_drawn_alone(engine: str) -> None:
    model = network("both").eval()
    lengths, speakers = [30, 70, 45], ["bob", "ann", "bob"]
    frames = [torch.randn(FRAMES.channels, count) for count in (3, 12, 8)]
    prompt = torch.rand(STREAMS, 8) - 0.5
    choices = {"engine": engine, "precision": "float32"}
    together = generate_batch(
        model, lengths, seeds=[7, 8, 9], speakers=speakers, frames=frames, prompt=prompt, **choices
    )
    for row, wave in enumerate(together):
        told_alone = {"speaker": speakers[row], "frames": frames[row], "prompt": prompt[row]}
        clip = model.generate(samples=lengths[row], seed=7 + row, **told_alone, **choices)
        assert torch.equal(torch.from_numpy(clip.samples), wave)
        assert len(wave) == 8 + lengths[row]


def test_a_batch_that_does_not_fit_together_is_refused() -> None:
    model = network("both").eval()
    with pytest.raises(ValueError, match="2 speakers for 3 seeds; give one each"):
        generate_batch(model, 5, seeds=[1, 2, 3], speakers=["ann", "bob"])
    with pytest.raises(ValueError, match="'zoe' is none of ann, bob, eve"):
        generate_batch(model, 5, seeds=[1], speakers=["zoe"], frames=[torch.zeros(4, 2)])
    with pytest.raises(ValueError, match="knows no speakers, so it has no voice of 'ann'"):
        network("frames").generate(samples=5, speaker="ann", frames=torch.zeros(4, 2))
    with pytest.raises(ValueError, match="the model needs a label"):
        generate_batch(model, 5, seeds=[1], frames=[torch.zeros(4, 2)])


def test_one_condition_serves_all_clips_and_what_is_told_matters() -> None:
    model = network("both").eval()
    one = told(NAMES, FRAMES, batch=1)
    numbers = uniforms([4, 4], 60)
    made = run(model, numbers, engine="cached", condition=one)
    assert torch.equal(made[0], made[1])
    other = Condition((one.label + 1) % 3, one.frames)
    assert not torch.equal(made, run(model, numbers, engine="cached", condition=other))
    assert not torch.equal(made, run(model, numbers, engine="cached", condition=Condition(one.label, -one.frames)))


@pytest.mark.parametrize("kind", KINDS)
def test_bench_measures_a_told_model_and_holds_every_engine_to_the_reference(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wavenet.bench.LONG_ENOUGH", 0.02)
    rows = list(bench(network(kind).eval(), [1, 5], [1], pytest.fail))
    assert {row.engine for row in rows} == set(ENGINES)
    assert {row.streams for row in rows} == {1, 5}
    assert all(row.agrees_with_reference and row.samples_per_second > 0 for row in rows)
