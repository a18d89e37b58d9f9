"""Told sounds: every engine draws what the reference draws, whatever is told, prompted, or gone on with."""

import pytest
import torch

from tests.wavenet.test_conditioning import FRAMES, KINDS, NAMES, network, told
from wavenet.conditioning import Condition
from wavenet.sampler import generate, run, stream, uniforms

ENGINES = ["cached", "compiled"]
STREAMS, LENGTH = 3, 60


def condition_of(kind: str) -> Condition:
    return told(*KINDS[kind], batch=STREAMS)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kernel_size", [1, 2, 3])
def test_every_engine_draws_what_the_reference_draws(engine: str, kind: str, kernel_size: int) -> None:
    model, numbers = network(kind, kernel_size=kernel_size).eval(), uniforms(range(STREAMS), LENGTH)
    for prompt in (None, torch.rand(1, 11) - 0.5, torch.rand(STREAMS, 40) - 0.5):
        given = {"prompt": prompt, "condition": condition_of(kind)}
        assert torch.equal(
            run(model, numbers, engine=engine, **given), run(model, numbers, engine="reference", **given)
        )


@pytest.mark.parametrize("engine", ["reference", *ENGINES])
def test_going_on_with_a_told_clip_is_drawing_it_in_one(engine: str) -> None:
    model = network("both").eval()
    choices = {"seeds": [1, 2, 3], "condition": condition_of("both"), "engine": engine, "prompt": torch.rand(9) - 0.5}
    whole = generate(model, 80, **choices)[:, 9:]
    for before in (5, 30, 70):  # shorter and longer than the receptive field
        rest = torch.cat(list(stream(model, 80 - before, drawn=whole[:, :before], **choices)), dim=1)
        assert torch.equal(rest, whole[:, before:])


def test_one_condition_serves_all_clips_and_what_is_told_matters() -> None:
    model = network("both").eval()
    one = told(NAMES, FRAMES, batch=1)
    numbers = uniforms([4, 4], 60)
    made = run(model, numbers, engine="cached", condition=one)
    assert torch.equal(made[0], made[1])
    other = Condition((one.label + 1) % 3, one.frames)
    assert not torch.equal(made, run(model, numbers, engine="cached", condition=other))
    assert not torch.equal(made, run(model, numbers, engine="cached", condition=Condition(one.label, -one.frames)))
