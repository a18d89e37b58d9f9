"""Temperature, top-k and top-p: which values may be drawn, and how often each then is."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wavenet.networks import small_network
from wavenet.distributions import BY_NAME, GREEDY, Categorical, Drawing, Gaussian, LogisticMixture
from wavenet.distributions.drawing import kept
from wavenet.sampler import ENGINES, generate, run, uniforms

CLASSES = 16
logits_of_some_codes = st.lists(
    st.one_of(st.sampled_from([-1.0, 0.0, 2.0]), st.floats(-6, 6, width=32)), min_size=CLASSES, max_size=CLASSES
)  # ties among them
drawings = st.builds(
    Drawing,
    temperature=st.floats(0.3, 3),
    top_k=st.none() | st.integers(1, CLASSES + 2),
    top_p=st.none() | st.floats(0.01, 1),
)


def obviously_kept(logits: list[float], drawing: Drawing) -> set[int]:
    """The definition, a code at a time."""
    masses = [math.exp((logit - max(logits)) / drawing.temperature) for logit in logits]
    ranked = sorted(range(len(logits)), key=lambda code: (-logits[code], code))[: drawing.top_k]
    if drawing.top_p is None or drawing.top_p == 1:
        return set(ranked)
    total, chosen = sum(masses[code] for code in ranked), []
    for code in ranked:
        if sum(masses[each] for each in chosen) >= drawing.top_p * total:
            break
        chosen.append(code)
    return set(chosen)


def close_call(logits: list[float], drawing: Drawing) -> bool:
    """Whether rounding decides where the nucleus ends: engines sum in another order, of masses in float32."""
    wider, narrower = (
        Drawing(drawing.temperature, drawing.top_k, min(1.0, drawing.top_p * by)) for by in (1 + 2e-6, 1 - 2e-6)
    )
    return obviously_kept(logits, wider) != obviously_kept(logits, narrower)


@settings(max_examples=300, deadline=None)
@given(logits_of_some_codes, drawings)
def test_the_likeliest_are_kept_and_the_smallest_nucleus_of_them(logits: list[float], drawing: Drawing) -> None:
    found = kept(torch.tensor(logits), drawing).nonzero()[:, 0].tolist()
    if drawing.top_p is None or not close_call(logits, drawing):
        assert set(found) == obviously_kept(logits, drawing)


def test_of_equally_likely_codes_the_lower_ones_are_kept() -> None:
    alike = torch.zeros(2, 3, 10)
    assert kept(alike, Drawing(top_k=4)).long().tolist() == [[[1] * 4 + [0] * 6] * 3] * 2
    assert kept(alike, Drawing(top_p=0.7)).long().tolist() == [[[1] * 7 + [0] * 3] * 3] * 2
    assert kept(alike, Drawing(top_p=1e-300)).sum(-1).unique().tolist() == [1]


def drawn(logits: torch.Tensor, uniform: torch.Tensor, drawing: Drawing) -> torch.Tensor:
    """The codes, for the same logits ``[classes]`` each time."""
    output = Categorical(classes=len(logits))
    return output.number_of(output.sample(logits.expand(len(uniform), -1), uniform, drawing))


@pytest.mark.parametrize("drawing", [Drawing(top_k=5), Drawing(top_p=0.6), Drawing(0.7, 9, 0.9)], ids=str)
def test_what_is_kept_comes_as_often_as_it_is_likely_and_nothing_else_comes(drawing: Drawing) -> None:
    """Of uniform numbers spread evenly, as many fall on the codes up to any as these are likely, to half a draw."""
    logits, draws = torch.randn(CLASSES) * 2, 2000
    uniform = (torch.arange(draws, dtype=torch.float64) + 0.5) / draws
    counts = torch.bincount(drawn(logits, uniform, drawing), minlength=CLASSES)
    expected = torch.softmax(logits.double() / drawing.temperature, -1)
    expected[[code not in obviously_kept(logits.tolist(), drawing) for code in range(CLASSES)]] = 0
    expected /= expected.sum()
    assert bool((counts[expected == 0] == 0).all())
    assert float((counts.cumsum(0) / draws - expected.cumsum(0)).abs().max()) <= 0.5 / draws + 1e-9


def test_at_either_end_of_the_uniform_numbers_a_kept_code_is_drawn() -> None:
    ends = torch.tensor([0.0, math.nextafter(1.0, 0.0)], dtype=torch.float64)
    for seed in range(50):
        logits = torch.randn(CLASSES, generator=torch.Generator().manual_seed(seed))
        for drawing in (Drawing(top_k=3), Drawing(top_p=0.5), Drawing(top_k=1)):
            assert set(drawn(logits, ends, drawing).tolist()) <= obviously_kept(logits.tolist(), drawing)


def flat_network(classes: int = CLASSES, ties: bool = False):
    """Draws with it depend on its last biases alone."""
    model = small_network(dilations=(1,), output=Categorical(classes=classes)).eval()
    with torch.no_grad():
        model.output.weight.zero_()
        if ties:
            model.output.bias.copy_(model.output.bias.sign())
    return model


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [2, 16, 50, 256])
def test_every_engine_draws_just_what_is_kept(engine: str, ties: bool, classes: int) -> None:
    model = flat_network(classes, ties)
    logits, numbers = model.output.bias.detach(), uniforms(range(3), 40)
    for drawing in (Drawing(top_k=1), Drawing(top_k=classes // 2), Drawing(top_p=0.31), Drawing(0.5, 7, 0.8)):
        codes = model.config.output.number_of(run(model, numbers, engine=engine, drawing=drawing))
        assert codes.tolist() == [drawn(logits, row, drawing).tolist() for row in numbers]
        assert set(codes.flatten().tolist()) <= obviously_kept(logits.tolist(), drawing)


@pytest.mark.parametrize("engine", ENGINES)
def test_keeping_everything_changes_nothing_and_keeping_one_is_greedy(engine: str) -> None:
    model = small_network().eval()

    def wave(drawing: Drawing) -> torch.Tensor:
        return generate(model, 60, seeds=[0, 1], engine=engine, drawing=drawing)

    plain = wave(Drawing())
    for everything in (Drawing(top_p=1.0), Drawing(top_k=CLASSES), Drawing(top_k=10**6, top_p=1.0)):
        assert torch.equal(wave(everything), plain)
    greedy = wave(GREEDY)
    assert not torch.equal(greedy, plain)
    for alone in (Drawing(top_k=1), Drawing(2.0, top_p=1e-9), Drawing(0.0, 5, 0.5)):
        assert torch.equal(wave(alone), greedy)


@pytest.mark.parametrize("output", [LogisticMixture(), Gaussian()], ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_mixture_takes_a_temperature_and_says_so(output, engine: str) -> None:
    model = small_network(dilations=(1,), output=output).eval()
    for drawing in (Drawing(top_k=5), Drawing(top_p=0.9)):
        with pytest.raises(ValueError, match="temperature is what it takes"):
            generate(model, 5, seeds=[0], engine=engine, drawing=drawing)
        with pytest.raises(ValueError, match="too many values"):
            output.sample(output.initial(), torch.tensor(0.5), drawing)
    assert generate(model, 5, seeds=[0], engine=engine, drawing=Drawing(0.8, top_p=1.0)).shape == (1, 5)


@pytest.mark.parametrize("output", BY_NAME.values(), ids=str)
def test_a_lower_temperature_is_a_sharper_distribution(output) -> None:
    parameters = output.initial() + torch.randn(output.channels)
    uniform = torch.linspace(0, 1, 501, dtype=torch.float64)[:-1]
    rows = parameters.expand(len(uniform), -1)
    spreads = [float(output.sample(rows, uniform, Drawing(at)).double().var()) for at in (2.0, 0.5, 0.05, 0.0)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] == 0 < spreads[0]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"temperature": -1}, "temperature is a number from 0 up"),
        ({"temperature": math.nan}, "temperature"),
        ({"temperature": math.inf}, "temperature"),
        ({"top_k": 0}, "top_k is a whole number from 1 up"),
        ({"top_k": 2.5}, "top_k"),
        ({"top_p": 0}, "top_p lies above 0 and up to 1"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_p": math.nan}, "top_p"),
    ],
    ids=str,
)
def test_what_is_no_way_to_draw_is_refused(wrong: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Drawing(**wrong)


def test_the_method_takes_them_as_words() -> None:
    model = small_network().eval()
    clip = model.generate(samples=40, seed=3, temperature=0.8, top_k=4, top_p=0.9)
    expected = generate(model, 40, seeds=[3], drawing=Drawing(0.8, 4, 0.9))
    assert torch.equal(torch.from_numpy(clip.samples), expected[0])
