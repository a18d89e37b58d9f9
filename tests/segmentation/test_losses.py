"""Losses: hand calculations, and an ignored pixel is as if it were not there."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segmentation.losses import (
    OHEM,
    ClassCounts,
    CrossEntropy,
    Dice,
    Focal,
    Loss,
    Sum,
    balanced,
    class_weights,
)
from shared.config import from_json, to_json

WEIGHTS = (0.5, 2.0, 1.0, 4.0)
LOSSES: dict[str, Loss] = {
    "cross-entropy": CrossEntropy(),
    "weighted cross-entropy": CrossEntropy(class_weights=WEIGHTS),
    "focal": Focal(),
    "focal below one": Focal(gamma=0.5),
    "weighted focal": Focal(class_weights=WEIGHTS, gamma=1.0),
    "hard pixels": OHEM(threshold=0.3, least=0.25),
    "weighted hard pixels": OHEM(class_weights=WEIGHTS),
    "dice": Dice(),
    "sum": Sum(factor=0.5),
    "sum of others": Sum(first=OHEM(), second=Focal()),
}
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def batch(share_ignored: float = 0.3) -> tuple[Tensor, Tensor]:
    target = torch.randint(0, 4, (2, 6, 7))
    return 2 * torch.randn(2, 4, 6, 7), torch.where(torch.rand(2, 6, 7) < share_ignored, 255, target)


def logits_for(*probabilities: tuple[float, ...]) -> Tensor:
    """One row of pixels whose softmax is given: ``[1, k, 1, pixels]``."""
    return torch.tensor(probabilities).log().t()[None, :, None]


def row(*classes: int) -> Tensor:
    return torch.tensor([[classes]])


@each_loss
def test_ignoring_pixels_is_removing_them(loss: Loss) -> None:
    logits, target = batch()
    kept = target != 255
    rest = logits.permute(1, 0, 2, 3)[:, kept][None, :, None], target[kept][None, None]
    torch.testing.assert_close(loss(logits, target), loss(*rest))


@each_loss
def test_what_lies_under_ignored_pixels_has_neither_value_nor_gradient(loss: Loss) -> None:
    logits, target = batch()
    ignored = (target == 255)[:, None].expand_as(logits)
    other = torch.where(ignored, 50 * torch.randn_like(logits), logits).requires_grad_()
    assert torch.equal(loss(logits, target), loss(other, target))
    (gradient,) = torch.autograd.grad(loss(other, target), other)
    assert not gradient[ignored].any()
    assert gradient[~ignored].any()


@each_loss
def test_a_batch_of_ignored_pixels_costs_nothing_and_teaches_nothing(loss: Loss) -> None:
    logits = torch.randn(2, 4, 3, 3, requires_grad=True)
    value = loss(logits, torch.full((2, 3, 3), 255))
    assert torch.equal(value, torch.tensor(0.0))
    value.backward()
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@each_loss
@pytest.mark.parametrize("ignore", [0, 3, -1, 4])
def test_any_id_can_be_the_ignored_one_even_a_class(loss: Loss, ignore: int) -> None:
    logits, target = batch(share_ignored=0)
    target[target == 0] = 1
    target[target == 3] = 2
    holes = torch.rand(target.shape) < 0.3
    expected = loss(logits, target.masked_fill(holes, 255))
    torch.testing.assert_close(loss(logits, target.masked_fill(holes, ignore), ignore=ignore), expected)


@pytest.mark.parametrize("name", [name for name in LOSSES if "hard" not in name and "others" not in name])
def test_the_gradient_is_the_slope(name: str) -> None:  # OHEM jumps where a pixel turns from hard to easy
    loss = LOSSES[name]
    logits, target = batch()
    step = torch.randn_like(logits)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(logits, target), logits)
    width = 1e-2
    with torch.no_grad():
        slope = (loss(logits + width * step, target) - loss(logits - width * step, target)) / (2 * width)
    torch.testing.assert_close((gradient * step).sum(), slope, rtol=2e-2, atol=2e-3)


@each_loss
def test_certainty_costs_nothing_and_being_wrong_stays_finite(loss: Loss) -> None:
    target = torch.randint(0, 4, (1, 5, 5))
    sure = 200 * F.one_hot(target, 4).permute(0, 3, 1, 2).float()
    for logits, is_right in ((sure, True), (-sure, False)):
        logits.requires_grad_()
        value = loss(logits, target)
        (gradient,) = torch.autograd.grad(value, logits)
        assert value.isfinite()
        assert gradient.isfinite().all()
        assert (float(value.detach()) < 1e-6) == is_right


@each_loss
def test_losses_are_float32_inside_autocast_and_for_bfloat16_logits(loss: Loss) -> None:
    logits, target = batch()
    rounded = logits.bfloat16()
    expected = loss(rounded.float(), target)
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(rounded, target)
    for value in (inside, loss(rounded, target)):
        assert value.dtype == torch.float32
        assert value.ndim == 0
        assert torch.equal(value, expected)


@each_loss
def test_a_loss_survives_json(loss: Loss) -> None:
    assert from_json(type(loss), to_json(loss)) == loss


def test_cross_entropy_is_torchs_with_and_without_weights() -> None:
    logits, target = batch()
    for weights in ((), WEIGHTS):
        table = torch.tensor(weights) if weights else None
        expected = F.cross_entropy(logits, target, table, ignore_index=255)
        torch.testing.assert_close(CrossEntropy(class_weights=weights)(logits, target), expected)


def test_cross_entropy_by_hand() -> None:
    logits, target = logits_for((0.5, 0.5), (0.2, 0.8), (0.9, 0.1)), row(0, 1, 255)
    expected = -(math.log(0.5) + math.log(0.8)) / 2
    assert float(CrossEntropy()(logits, target)) == pytest.approx(expected)
    weighted = -(1 * math.log(0.5) + 3 * math.log(0.8)) / 4
    assert float(CrossEntropy(class_weights=(1.0, 3.0))(logits, target)) == pytest.approx(weighted)


def test_focal_by_hand_each_pixel_has_its_own_factor() -> None:
    logits, target = logits_for((0.5, 0.5), (0.2, 0.8), (0.9, 0.1)), row(0, 1, 255)
    expected = -(0.5**2 * math.log(0.5) + 0.2**2 * math.log(0.8)) / 2
    assert float(Focal(gamma=2.0)(logits, target)) == pytest.approx(expected)
    mean = CrossEntropy()(logits, target)
    of_the_mean = (1 - torch.exp(-mean)) ** 2 * mean
    assert float(of_the_mean) != pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("weights", [(), WEIGHTS])
def test_focal_of_gamma_0_is_cross_entropy_and_more_gamma_costs_less(weights: tuple[float, ...]) -> None:
    logits, target = batch()
    plain = CrossEntropy(class_weights=weights)(logits, target)
    torch.testing.assert_close(Focal(gamma=0.0, class_weights=weights)(logits, target), plain)
    values = [float(Focal(gamma=gamma, class_weights=weights)(logits, target)) for gamma in (0, 0.5, 1, 2, 5)]
    assert values == sorted(values, reverse=True)
    assert Focal().gamma == 2


def test_hard_pixels_by_hand() -> None:
    probabilities = (0.1, 0.6, 0.8, 0.9)  # of the right class
    logits, target = logits_for(*((p, 1 - p) for p in probabilities), (0.01, 0.99)), row(0, 0, 0, 0, 255)

    def mean(*chosen: float) -> float:
        return -sum(map(math.log, chosen)) / len(chosen)

    for loss, chosen in (
        (OHEM(threshold=0.7, least=0.25), (0.1, 0.6)),
        (OHEM(threshold=0.7, least=0.75), (0.1, 0.6, 0.8)),
        (OHEM(threshold=0.05, least=0.25), (0.1,)),
        (OHEM(threshold=0.05, least=0.26), (0.1, 0.6)),  # a share is rounded up
        (OHEM(threshold=0.05, least=1.0), probabilities),
        (OHEM(threshold=1.0), probabilities),
    ):
        assert float(loss(logits, target)) == pytest.approx(mean(*chosen)), loss


def test_hard_pixels_of_threshold_1_are_all_pixels() -> None:
    logits, target = batch()
    for weights in ((), WEIGHTS):
        hard, plain = OHEM(threshold=1.0, class_weights=weights), CrossEntropy(class_weights=weights)
        torch.testing.assert_close(hard(logits, target), plain(logits, target))


def test_certain_pixels_come_before_ignored_ones() -> None:
    logits = torch.tensor([[0.0, 200, 200, 200], [0, 0, 0, 0]])[None, :, None]
    expected = math.log(2) / 2
    assert float(OHEM(least=1.0)(logits, row(0, 255, 255, 0))) == pytest.approx(expected)
    assert float(OHEM(least=1.0)(logits, row(0, 0, 255, 255))) == pytest.approx(expected)


def test_easy_pixels_get_no_gradient() -> None:
    logits = logits_for((0.1, 0.9), (0.9, 0.1)).requires_grad_()
    (gradient,) = torch.autograd.grad(OHEM(least=0.1)(logits, row(0, 0)), logits)
    assert gradient[..., 0].all()
    assert not gradient[..., 1].any()


def test_dice_by_hand() -> None:
    logits, target = logits_for((0.5, 0.3, 0.2), (0.2, 0.7, 0.1), (0.1, 0.1, 0.8)), row(0, 1, 255)
    first = 2 * 0.5 / (0.5 + 0.2 + 1)
    second = 2 * 0.7 / (0.3 + 0.7 + 1)
    assert float(Dice()(logits, target)) == pytest.approx(1 - (first + second) / 2)


def test_dice_lies_between_0_and_1_and_does_not_count_absent_classes() -> None:
    target = torch.zeros(1, 4, 4, dtype=torch.int64)
    right = 100 * F.one_hot(target, 4).permute(0, 3, 1, 2).float()
    assert float(Dice()(right, target)) == pytest.approx(0)
    assert float(Dice()(-right, target)) == pytest.approx(1)


def test_a_sum_is_its_parts() -> None:
    logits, target = batch()
    expected = CrossEntropy()(logits, target) + 0.5 * Dice()(logits, target)
    torch.testing.assert_close(Sum(factor=0.5)(logits, target), expected)


def test_class_weights_by_hand() -> None:
    # class 0 in both pictures of 100 pixels, class 1 in one of them, class 2 in the other, class 3 in none
    counts = ClassCounts(pixels=(120, 40, 10, 0), pixels_around=(200, 100, 100, 0))
    frequencies = (0.6, 0.4, 0.1)
    assert class_weights(counts, "none") == (1, 1, 1, 1)
    assert class_weights(counts, "median") == pytest.approx((*(0.4 / each for each in frequencies), 1))
    shares = (120 / 170, 40 / 170, 10 / 170)
    assert class_weights(counts, "log") == pytest.approx((*(1 / math.log(1.02 + each) for each in shares), 1))
    even = ClassCounts(pixels=(60, 30, 10, 0), pixels_around=(100, 100, 20, 0))
    assert class_weights(even, "median") == pytest.approx((0.5 / 0.6, 0.5 / 0.3, 1, 1))


@pytest.mark.parametrize("kind", ["none", "median", "log"])
def test_a_data_set_without_labels_weighs_every_class_1(kind) -> None:
    assert class_weights(ClassCounts((0, 0), (0, 0)), kind) == (1, 1)


def test_balancing_fills_in_what_was_asked_for_and_nothing_else() -> None:
    counts = ClassCounts((6, 2), (8, 8))
    weights = class_weights(counts, "log")
    assert balanced(OHEM(weights="log"), counts).class_weights == weights
    both = balanced(Sum(first=CrossEntropy(weights="log"), second=Focal()), counts)
    assert both.first.class_weights == weights
    assert both.second == Focal()
    for as_it_is in (CrossEntropy(), Dice(), Focal(weights="log", class_weights=(1.0, 2.0)), Sum()):
        assert balanced(as_it_is, counts) == as_it_is


def test_weights_that_do_not_fit_are_refused() -> None:
    logits, target = batch()
    with pytest.raises(ValueError, match="needs the counts of a training set"):
        CrossEntropy(weights="median")(logits, target)
    with pytest.raises(ValueError, match="2 class weights do not fit 4 classes"):
        CrossEntropy(class_weights=(1.0, 2.0))(logits, target)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Focal(gamma=-1.0), "gamma must lie"),
        (lambda: OHEM(threshold=0.0), "threshold must lie"),
        (lambda: OHEM(least=1.5), "least must lie"),
        (lambda: CrossEntropy(class_weights=(1.0, math.nan)), "class_weights must be finite"),
        (lambda: CrossEntropy(class_weights=(-1.0,)), "not negative"),
        (lambda: CrossEntropy(weights="auto"), "weights is 'auto'; it can be none, median, log"),
        (lambda: Sum(factor=-1.0), "factor must be finite"),
    ],
)
def test_settings_out_of_range_are_refused(make, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make()


@pytest.mark.parametrize("loss", [CrossEntropy(), Focal(), OHEM(), Dice()], ids=str)
def test_a_loss_of_what_is_no_number_is_none(loss):
    assert torch.isnan(loss(torch.full((1, 3, 2, 2), torch.nan), torch.zeros(1, 2, 2, dtype=torch.int64)))


def test_weighted_losses_are_as_precise_as_their_logits():
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, 5, 5, dtype=torch.float64, generator=random)
    target = torch.randint(0, 3, (4, 5, 5), generator=random)
    found = CrossEntropy(weights="median", class_weights=(0.2, 1.0, 3.1))(logits, target)
    expected = torch.nn.functional.cross_entropy(
        logits, target, weight=torch.tensor([0.2, 1.0, 3.1], dtype=torch.float64)
    )
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=0)
