"""Losses over labelled pixels. One rule holds in all of them: an ignored pixel is as if it were not there.

A loss is a frozen dataclass, called with ``logits [b, k, h, w]`` and ``target [b, h, w]``, int64 class ids or
``ignore``. It answers with a float32 scalar, in autocast too, or float64 for float64; where every pixel is ignored with
0 and no gradient. Class ids are below k: data is checked before training, not here. Where several processes share a
batch, ``logits`` and ``target`` are a process's own ``rows`` of it, one at least, and all get the loss of the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from segmentation.palette import IGNORE
from shared.training.whole_batch import ALL_ROWS, Rows

Balance = Literal["none", "median", "log"]


@dataclass(frozen=True)
class ClassCounts:
    """How often each class occurs in the masks of a training set, one number a class."""

    pixels: tuple[int, ...]
    """Pixels of the class."""
    pixels_around: tuple[int, ...]
    """All pixels, ignored ones too, of those pictures in which the class occurs."""


def class_weights(counts: ClassCounts, kind: Balance) -> tuple[float, ...]:
    """One weight a class, higher for rarer ones; a class that never occurs weighs 1.

    ``median`` is the median over classes of their frequencies in the pictures that show them, divided by the class's
    own (Eigen and Fergus 2015). ``log`` is 1 / ln(1.02 + share), between 1.4 and 50.5 (ENet, Paszke et al. 2016).

    >>> counts = ClassCounts(pixels=(75, 20, 5, 0), pixels_around=(100, 100, 50, 0))
    >>> [round(weight, 3) for weight in class_weights(counts, "median")]   # frequencies 0.75, 0.2, 0.1
    [0.267, 1.0, 2.0, 1.0]
    >>> [round(weight, 3) for weight in class_weights(counts, "log")]
    [1.751, 5.029, 14.78, 1.0]
    """
    if kind == "none":
        return (1.0,) * len(counts.pixels)
    if kind == "median":
        pairs = zip(counts.pixels, counts.pixels_around, strict=True)
        frequencies = [own / around if own else 0.0 for own, around in pairs]
        present = torch.tensor([each for each in frequencies if each], dtype=torch.float64)
        middle = float(present.quantile(0.5)) if len(present) else 1.0
        return tuple(middle / each if each else 1.0 for each in frequencies)
    total = sum(counts.pixels)
    return tuple(1 / math.log(1.02 + own / total) if own else 1.0 for own in counts.pixels)


@dataclass(frozen=True, kw_only=True)
class _PerPixel:
    """What the losses share that score each pixel by itself."""

    tagged = True

    weights: Balance = "none"
    """How classes are weighted by their frequency in the training set (``class_weights``)."""
    class_weights: tuple[float, ...] = ()
    """The weights themselves, one a class; ``balanced`` fills them in."""

    def __post_init__(self):
        if self.weights not in get_args(Balance):
            raise ValueError(f"weights is {self.weights!r}; it can be {', '.join(get_args(Balance))}")
        if any(not (math.isfinite(weight) and weight >= 0) for weight in self.class_weights):
            raise ValueError(f"class_weights must be finite and not negative, not {list(self.class_weights)}")

    def _weight_map(self, logits: Tensor, target: Tensor, ignore: int) -> Tensor:
        """The weight of every pixel ``[b, h, w]``: its class's, and 0 where ignored."""
        labelled = (target != ignore).to(_precise(logits).dtype)
        if not self.class_weights:
            if self.weights != "none":
                raise ValueError(f"weights={self.weights!r} needs the counts of a training set: balanced(loss, counts)")
            return labelled
        if len(self.class_weights) != logits.shape[1]:
            raise ValueError(f"{len(self.class_weights)} class weights do not fit {logits.shape[1]} classes")
        table = torch.tensor(self.class_weights, device=logits.device, dtype=labelled.dtype)
        return table[torch.where(target != ignore, target, 0)] * labelled


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(_PerPixel):
    """The mean of −ln p(class of the pixel), in nats, weighted by class as torch's is.

    >>> logits, target = torch.zeros(1, 4, 1, 2), torch.tensor([[[3, 255]]])
    >>> round(float(CrossEntropy()(logits, target)), 4) == round(math.log(4), 4)
    True
    """

    def __call__(self, logits: Tensor, target: Tensor, ignore: int = IGNORE, rows: Rows = ALL_ROWS) -> Tensor:
        """``logits [b, k, h, w]``, ``target [b, h, w]`` int64 -> scalar."""
        return _mean(_surprise(logits, target, ignore), self._weight_map(logits, target, ignore), rows)


@dataclass(frozen=True, kw_only=True)
class Focal(_PerPixel):
    """Cross-entropy that turns from easy pixels: the mean of −(1 − p)^gamma · ln p (Lin et al. 2017).

    Each pixel has its own factor before the mean. The mean is over labelled pixels; gamma 0 is ``CrossEntropy``.
    """

    gamma: float = 2.0
    """How fast a pixel loses interest as it is learnt."""

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.gamma <= 100:
            raise ValueError(f"gamma must lie between 0 and 100, not {self.gamma}")

    def __call__(self, logits: Tensor, target: Tensor, ignore: int = IGNORE, rows: Rows = ALL_ROWS) -> Tensor:
        """``logits [b, k, h, w]``, ``target [b, h, w]`` int64 -> scalar."""
        surprise = _surprise(logits, target, ignore)
        # 1 − p without cancellation; the floor keeps the slope of a power below 1 finite at p = 1
        wrong = (-torch.expm1(-surprise)).clamp_min(1e-7)
        return _mean(wrong**self.gamma * surprise, self._weight_map(logits, target, ignore), rows)


@dataclass(frozen=True, kw_only=True)
class OHEM(_PerPixel):
    """Cross-entropy of the hard pixels alone: online hard example mining (Shrivastava et al. 2016), over pixels.

    Hard is every labelled pixel whose class has a probability under ``threshold``; if they are fewer than
    ``least`` of all labelled ones, then the hardest of that number. The mean is over those.
    """

    threshold: float = 0.7
    """Probability of the right class from which a pixel is easy."""
    least: float = 1 / 16
    """Share of the labelled pixels that count at least."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("threshold", "least"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie above 0 and not above 1, not {getattr(self, name)}")

    def __call__(self, logits: Tensor, target: Tensor, ignore: int = IGNORE, rows: Rows = ALL_ROWS) -> Tensor:
        """``logits [b, k, h, w]``, ``target [b, h, w]`` int64 -> scalar."""
        surprise, labelled = _surprise(logits, target, ignore), target != ignore
        weights = self._weight_map(logits, target, ignore)
        ranks = rows.whole(surprise.masked_fill(~labelled, -1))  # an ignored pixel is easier than any other
        hard = int((ranks > -math.log(self.threshold)).sum())
        count = max(hard, math.ceil(self.least * int((ranks != -1).sum())))
        chosen = ranks.flatten().topk(count).indices - rows.own.start * surprise[0].numel()
        mine = chosen[(chosen >= 0) & (chosen < surprise.numel())]
        return _mean(surprise.flatten()[mine], weights.flatten()[mine], rows)


@dataclass(frozen=True, kw_only=True)
class Dice:
    """1 − the mean over classes of 2·Σ p·y / (Σ p + Σ y), sums over the labelled pixels of the batch.

    Soft Dice (after Milletari et al. 2016, without the squares). The mean is over classes that occur in the batch:
    one that does not would score 0 however well it is avoided, and what is wrongly given to it is missing elsewhere.
    """

    tagged = True

    def __call__(self, logits: Tensor, target: Tensor, ignore: int = IGNORE, rows: Rows = ALL_ROWS) -> Tensor:
        """``logits [b, k, h, w]``, ``target [b, h, w]`` int64 -> scalar."""
        labelled = (target != ignore)[:, None]
        share = torch.softmax(_precise(logits), dim=1) * labelled
        classes = torch.arange(logits.shape[1], device=logits.device)[:, None, None]
        own = (target[:, None] == classes) & labelled
        sums = [(share * own).sum(dim=(0, 2, 3)), share.sum(dim=(0, 2, 3)), own.sum(dim=(0, 2, 3))]
        both, given, pixels = rows.total(torch.stack(sums))
        return _mean(1 - 2 * both / (given + pixels).clamp_min(1), (pixels > 0).float())


Single = CrossEntropy | Focal | OHEM | Dice


@dataclass(frozen=True, kw_only=True)
class Sum:
    """Two losses at once: ``first + factor · second``; a score of pixels and one of regions help each other.

    >>> Sum(second=Focal(gamma=1.0), factor=0.5)(torch.zeros(1, 2, 1, 1), torch.zeros(1, 1, 1).long())
    tensor(0.8664)
    """

    tagged = True

    first: Single = CrossEntropy()
    """What is taken whole."""
    second: Single = Dice()
    """What is added."""
    factor: float = 1.0
    """How much of it."""

    def __post_init__(self):
        if not 0 <= self.factor < math.inf:
            raise ValueError(f"factor must be finite and not negative, not {self.factor}")

    def __call__(self, logits: Tensor, target: Tensor, ignore: int = IGNORE, rows: Rows = ALL_ROWS) -> Tensor:
        """``logits [b, k, h, w]``, ``target [b, h, w]`` int64 -> scalar."""
        return self.first(logits, target, ignore, rows) + self.factor * self.second(logits, target, ignore, rows)


Loss = CrossEntropy | Focal | OHEM | Dice | Sum


def balanced(loss: Loss, counts: ClassCounts) -> Loss:
    """The loss with the class weights that it asks for; one that asks for none, or has them, stays as it is.

    >>> balanced(Focal(weights="median"), ClassCounts(pixels=(6, 2), pixels_around=(8, 8)))
    Focal(weights='median', class_weights=(0.6666666666666666, 2.0), gamma=2.0)
    """
    if isinstance(loss, Sum):
        return replace(loss, first=balanced(loss.first, counts), second=balanced(loss.second, counts))
    if isinstance(loss, Dice) or loss.weights == "none" or loss.class_weights:
        return loss
    return replace(loss, class_weights=class_weights(counts, loss.weights))


def _precise(logits: Tensor) -> Tensor:
    """float32 where it is less."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _surprise(logits: Tensor, target: Tensor, ignore: int) -> Tensor:
    """−ln p of every pixel's class ``[b, h, w]``; 0 where ignored."""
    return F.cross_entropy(_precise(logits), target, ignore_index=ignore, reduction="none")


def _mean(values: Tensor, weights: Tensor, rows: Rows = ALL_ROWS) -> Tensor:
    """The weighted mean over all rows, 0 where there is no weight at all."""
    value, total = rows.total(torch.stack([(values * weights).sum(), weights.sum()]))
    return value / torch.where(total > 0, total, 1)
