"""The lesson's three names, in memory and without a run folder: a data set, a network, and training any module on it.

They are for notebooks and the tour. What trains on files, saves and resumes is ``segmentation.trainer``; the parts
are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from segmentation.data.shapes import draw_strokes
from segmentation.losses import CrossEntropy, Loss
from segmentation.metrics import Confusion
from segmentation.networks import PoolFree, Segmenter
from segmentation.palette import IGNORE
from segmentation.transforms import IMAGENET
from shared.training.loop import optimise, warmup_cosine

CLASSES = ("ground", "body", "stroke")
WARMUP = 20  # steps


class DilatedSegNet(Segmenter):
    """The lesson's network, full size: ``[b, 3, h, w] -> [b, num_classes, h, w]``, any h and w.

    A pool-free stack of dilations 1, 1, 2, 4, 8, then ASPP, then a decoder of two 3×3. ``PoolFree`` is the same as a
    setting, with a coarser stem or fewer channels.

    >>> sum(each.numel() for each in DilatedSegNet(3).parameters())
    3268099
    """

    def __init__(self, num_classes: int, stem_stride: int = 1, width: int = 64):
        built = PoolFree(stem_stride=stem_stride, width=width).build(num_classes)
        super().__init__(built.backbone, built.classifier)


def create_segmentation_dataset(
    count: int = 200, size: tuple[int, int] = (64, 64), seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Pictures and their masks: ``[n, 3, h, w]`` float32, normalised, and ``[n, h, w]`` int64: ground, body, stroke.

    Every picture has other shapes, places, sizes and colours, so that no constant mask scores well. Colour tells what
    stands on the ground from the ground, but not bodies from strokes, which are 1 to 3 pixels wide. A longer data set
    of one seed begins with the shorter one.

    >>> images, masks = create_segmentation_dataset(2)
    >>> images.shape, masks.shape, bool((masks[0] != masks[1]).any())
    (torch.Size([2, 3, 64, 64]), torch.Size([2, 64, 64]), True)
    """
    pixels, ids = zip(
        *(draw_strokes(size, np.random.default_rng([seed, index])) for index in range(count)), strict=True
    )
    return IMAGENET.tensor(*pixels).contiguous(), torch.from_numpy(np.stack(ids)).long()


@dataclass(frozen=True)
class Training:
    """What came of training: the loss of every step, and the scores on what was held back."""

    losses: tuple[float, ...]
    confusion: Confusion
    """Of all pixels of the held-back pictures; ``mean_iou`` and ``iou`` are its."""


def train_segmentation(
    model: nn.Module,
    images: Tensor,
    masks: Tensor,
    *,
    held: tuple[Tensor, Tensor],
    steps: int = 300,
    batch: int = 16,
    learning_rate: float = 3e-3,
    loss: Loss = CrossEntropy(),
    seed: int = 0,
    precision: torch.dtype = torch.float32,
    progress: Callable[[int, float], None] | None = None,
) -> Training:
    """Train any module that maps ``[b, 3, h, w]`` to logits ``[b, k, h, w]``; it is left in evaluation mode.

    ``held`` are pictures and masks to score. AdamW, half a cosine, mirrored at random; ``precision`` is that of the
    products. ``progress(step, loss)`` is called after every step. Pixels of id 255 count nowhere. Raises InputError
    when training diverges.

    >>> images, masks = create_segmentation_dataset(4, (16, 16))
    >>> done = train_segmentation(nn.Conv2d(3, 3, 1), images, masks, held=(images, masks), steps=2, batch=2)
    >>> len(done.losses), done.confusion.pixels
    (2, 1024)
    """
    model.train().to(memory_format=torch.channels_last)  # what makes dilation cheap on a CPU
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.02)
    random = torch.Generator().manual_seed(seed)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(steps):
            chosen = torch.randint(len(images), (batch,), generator=random)
            pixels, ids = images[chosen], masks[chosen]
            if torch.rand((), generator=random) < 0.5:
                pixels, ids = pixels.flip(-1), ids.flip(-1)
            yield pixels.contiguous(memory_format=torch.channels_last), ids

    def score(given: tuple[Tensor, Tensor]) -> Tensor:
        pixels, ids = given
        return loss(model(pixels), ids)

    def rate(step: int) -> float:
        return warmup_cosine(learning_rate, step, WARMUP, step / steps)

    losses = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # dropout draws from the global state
        for done in optimise(model, score, batches(), optimizer, learning_rate=rate, precision=precision):
            losses.append(done.loss)
            if progress:
                progress(done.step, done.loss)
    return Training(tuple(losses), scored(model, *held))


@torch.inference_mode()
def scored(model: nn.Module, images: Tensor, masks: Tensor, batch: int = 16) -> Confusion:
    """The confusion matrix of a module's answers; ignored pixels count nowhere."""
    model.eval()
    confusion: Confusion | None = None
    for pixels, ids in zip(images.split(batch), masks.split(batch), strict=True):
        logits = model(pixels.contiguous(memory_format=torch.channels_last))
        confusion = confusion or Confusion(logits.shape[1])
        confusion.add(ids, logits.argmax(1), IGNORE)
    return confusion or Confusion(2)
