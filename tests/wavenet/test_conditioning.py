"""A condition: told at its own time, the same from a window as from the whole, and to every path alike."""

import pytest
import torch
from torch import Tensor

from tests.wavenet.networks import small_network
from wavenet.conditioning import Condition, Conditioning, Frames, Labels, window
from wavenet.model import WaveNet

NAMES = Labels(names=("ann", "bob", "eve"), width=3)
FRAMES = Frames(channels=4, hop=7, width=5, reach=1)
KINDS = {"labels": (NAMES, None), "frames": (None, FRAMES), "both": (NAMES, FRAMES)}


def told(labels: Labels | None, frames: Frames | None, batch: int = 2, count: int = 12) -> Condition:
    random = torch.Generator().manual_seed(5)
    label = torch.randint(3, (batch,), generator=random) if labels else None
    values = torch.randn(batch, frames.channels, count, generator=random) if frames else None
    return Condition(label, values)


def network(kind: str, **changes: object) -> WaveNet:
    labels, frames = KINDS[kind]
    return small_network(labels=labels, frames=frames, **changes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kernel_size", [1, 2, 3])
def test_the_training_path_equals_the_obvious_one_with_its_gradient(kind: str, kernel_size: int) -> None:
    model = network(kind, kernel_size=kernel_size).double()
    condition = told(*KINDS[kind])
    if condition.frames is not None:
        condition = Condition(condition.label, condition.frames.double())
    field, targets = model.receptive_field, 40
    wave = torch.rand(2, targets, dtype=torch.float64) * 2 - 1
    behind_silence = torch.cat([torch.zeros(2, field, dtype=torch.float64), wave], dim=1)
    fast = model.nll(behind_silence, condition)
    slow = model.config.output.nll(model(wave, condition), wave)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-5)
    parameters = dict(model.named_parameters())
    mine = torch.autograd.grad(fast.sum(), list(parameters.values()))
    true = torch.autograd.grad(slow.sum(), list(parameters.values()))
    for name, got, expected in zip(parameters, mine, true, strict=True):
        assert float(expected.abs().max()) > 0, name
        torch.testing.assert_close(got, expected, atol=1e-5 * float(expected.abs().max() + 1), rtol=1e-5, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_an_excerpt_with_its_frames_scores_as_within_the_whole(kind: str) -> None:
    model = network(kind)
    condition = told(*KINDS[kind], count=30)
    field, start, targets = model.receptive_field, 133, 25
    wave = torch.rand(2, 200) * 2 - 1
    whole = model.nll(torch.cat([torch.zeros(2, field), wave], dim=1), condition)[:, start : start + targets]
    piece = condition
    if condition.frames is not None:
        first, last = window(FRAMES, start - field, field + targets)
        frames = condition.frames[..., torch.arange(first, last).clamp(0, 29)]
        piece = Condition(condition.label, frames, begin=(first * FRAMES.hop - start,) * 2)
    torch.testing.assert_close(model.nll(wave[:, start - field : start + targets], piece), whole, atol=1e-5, rtol=1e-5)


def test_frames_are_interpolated_and_each_is_centred_at_its_own_sample() -> None:
    conditioning = Conditioning(None, FRAMES)
    condition = told(None, FRAMES)
    encoded, _ = conditioning.encoded(condition, 0, 70)
    made = conditioning(condition, 0, 70)
    for frame in range(10):
        torch.testing.assert_close(made[frame * FRAMES.hop], encoded[frame])
    halfway = (4 * made[21] + 3 * made[28]) / 7
    torch.testing.assert_close(made[24], halfway)


def test_a_sample_is_told_of_the_frames_around_it_and_of_no_others() -> None:
    conditioning = Conditioning(None, FRAMES)
    for at in range(20, 45):
        condition = told(None, FRAMES)
        condition.frames.requires_grad_()
        (gradient,) = torch.autograd.grad(conditioning(condition, at, 1).sum(), condition.frames)
        seen = gradient.abs().sum((0, 1)).nonzero()[:, 0].tolist()
        before = at // FRAMES.hop
        aligned = at % FRAMES.hop == 0  # then the next frame weighs nothing, at first
        assert seen == list(range(before - FRAMES.reach, before + FRAMES.reach + 2 - aligned))


def test_sounds_of_a_batch_may_stand_at_different_places() -> None:
    conditioning = Conditioning(*KINDS["both"])
    one = told(*KINDS["both"])
    both = Condition(one.label, one.frames, begin=(-30, 5))
    made = conditioning(both, -3, 20)
    for row, begin in enumerate(both.begin):
        alone = Condition(one.label[row : row + 1], one.frames[row : row + 1])
        torch.testing.assert_close(made[:, row], conditioning(alone, -3 - begin, 20)[:, 0])
        torch.testing.assert_close(conditioning(alone.later(11), -3, 20), conditioning(alone, 8, 20))


def test_beyond_what_is_given_the_first_and_the_last_frame_go_on() -> None:
    conditioning = Conditioning(None, FRAMES)
    made = conditioning(told(None, FRAMES), -100, 400)
    torch.testing.assert_close(made[0], made[60])
    torch.testing.assert_close(made[-1], made[-100])


def test_what_is_told_of_a_sample_moves_it_and_nothing_before_it() -> None:
    model = network("frames")
    wave = torch.rand(2, 80) * 2 - 1
    condition = told(None, FRAMES)
    changed = condition.frames.clone()
    changed[..., 8] += 1
    difference = (model(wave, condition) - model(wave, Condition(frames=changed))).abs().sum(dim=(0, 2))
    first = (8 - FRAMES.reach - 1) * FRAMES.hop
    assert not difference[:first].any()
    assert difference[first:].any()


def test_a_label_is_the_same_for_the_whole_sound_and_matters() -> None:
    model = network("labels")
    wave = torch.rand(1, 30) * 2 - 1
    answers = [model(wave, Condition(torch.tensor([label]))) for label in range(3)]
    assert not torch.allclose(answers[0], answers[1])
    made = model.conditioning(Condition(torch.tensor([1])), -9, 50)
    assert bool((made == made[0]).all())


@pytest.mark.parametrize(
    ("kind", "condition", "reason"),
    [
        ("labels", None, "the model needs a label"),
        ("labels", Condition(torch.tensor([0, 1]), torch.zeros(2, 4, 3)), "takes no frames"),
        ("frames", Condition(torch.tensor([0, 1])), "takes no label"),
        ("frames", Condition(frames=torch.zeros(2, 3, 9)), r"frames are \[b, 4, 1 or more\], not \[2, 3, 9\]"),
        ("frames", Condition(frames=torch.zeros(2, 4, 0)), "1 or more"),
        ("both", Condition(torch.tensor([0, 1])), "needs frames"),
    ],
)
def test_a_condition_that_does_not_fit_is_refused(kind: str, condition: Condition | None, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        network(kind)(torch.zeros(2, 9), condition)


def test_a_model_without_conditions_takes_none() -> None:
    with pytest.raises(ValueError, match="takes no condition"):
        small_network()(torch.zeros(2, 9), Condition(torch.tensor([0, 1])))
    plain: Tensor = small_network()(torch.zeros(2, 9), Condition())
    assert plain.shape == (2, 9, 16)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Labels(names=()), "different names"),
        (lambda: Labels(names=("a", "a")), "different names"),
        (lambda: Labels(names=("a",)).index("b"), "'b' is none of a"),
        (lambda: Frames(hop=0), "hop must lie between 1"),
        (lambda: Frames(reach=-1), "reach must lie"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make()


def test_a_conditioned_model_is_rebuilt_from_its_folder(tmp_path) -> None:
    model = network("both")
    model.save_pretrained(tmp_path)
    again = WaveNet.from_pretrained(tmp_path)
    assert again.config == model.config
    wave, condition = torch.rand(2, 30), told(NAMES, FRAMES)
    assert torch.equal(again(wave, condition), model.eval()(wave, condition))
