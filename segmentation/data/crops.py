"""Which crops of which samples a training step sees: a pure function of (seed, step).

So the data's position in a run is one integer, resuming needs nothing else, and nothing depends on how many threads
fetch batches, or on what the cache holds. Each epoch shows every sample once, in a new order; crop, scale, mirroring
and colour are drawn for each showing from its own generator.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from segmentation.data.samples import Sample
from segmentation.transforms import IMAGENET, Augmentation, Normalisation, apply, draw

CACHE = 2**30  # bytes of decoded pictures and masks


class Batch(NamedTuple):
    """``images`` float32 ``[b, 3, h, w]``, channels_last, normalised; ``masks`` int64 ``[b, h, w]``, 255 ignored."""

    images: Tensor
    masks: Tensor

    def to(self, device: torch.device) -> Batch:
        """Both tensors on a device."""
        return Batch(self.images.to(device, non_blocking=True), self.masks.to(device, non_blocking=True))


class Cache:
    """Decoded samples, the most recently used ones first, in at most ``most`` bytes. Safe between threads."""

    def __init__(self, samples: Sequence[Sample], most: int = CACHE):
        self.samples, self.most, self.bytes = samples, most, 0
        self._kept: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._lock = Lock()

    def read(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        """Picture and ids of sample ``at``; not to be written to."""
        with self._lock:
            if at in self._kept:
                self._kept.move_to_end(at)
                return self._kept[at]
        pixels, ids = self.samples[at].read()  # outside of the lock: it takes milliseconds
        with self._lock:
            if at not in self._kept:
                self._kept[at] = (pixels, ids)
                self.bytes += pixels.nbytes + ids.nbytes
            while self.bytes > self.most:
                _, old = self._kept.popitem(last=False)
                self.bytes -= sum(array.nbytes for array in old)
        return pixels, ids


class Crops:
    """Batches of crops: ``crops.batch(step)``, or ``crops.ahead(step)`` for all from a step on.

    Of several processes that share each batch of ``batch`` crops, each makes its ``rows``.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        how: Augmentation,
        batch: int,
        seed: int,
        normalise: Normalisation = IMAGENET,
        cache: int = CACHE,
        rows: range | None = None,
    ):
        if not samples:
            raise ValueError("there are no samples to train on")
        self.samples, self.how, self.size, self.seed, self.normalise = samples, how, batch, seed, normalise
        self.rows = range(batch) if rows is None else rows
        self.cache = Cache(samples, cache)
        self._order = lru_cache(maxsize=4)(self._shuffled)

    def batch(self, step: int) -> Batch:
        """The batch of step ``step``, counting from 0. Raises InputError where a file has gone bad since the scan."""
        height, width = self.how.crop
        images = np.zeros((len(self.rows), height, width, 3), np.float32)
        masks = np.empty((len(self.rows), height, width), np.int64)
        for at, row in enumerate(self.rows):
            pixels, ids, real = self._crop(step * self.size + row)
            images[at] = self.normalise(pixels)
            if not real.all():
                images[at][~real] = 0  # the mean colour
            masks[at] = ids
        return Batch(torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(masks))

    def ahead(self, start: int = 0, stop: int | None = None, workers: int = 2) -> Iterator[tuple[int, Batch]]:
        """``(step, batch)`` from ``start`` on, made by ``workers`` threads, as many batches ahead and one; 0: none.

        Closing the iterator, or an exception in the loop around it, ends the threads.
        """
        stop = stop if stop is not None else 2**62
        if workers < 1:
            for step in range(start, stop):
                yield step, self.batch(step)
            return
        pool = ThreadPoolExecutor(workers, thread_name_prefix="crops")
        try:
            waiting = deque(pool.submit(self.batch, step) for step in range(start, min(stop, start + workers + 1)))
            for step in range(start, stop):
                batch = waiting.popleft().result()
                if (later := step + workers + 1) < stop:
                    waiting.append(pool.submit(self.batch, later))
                yield step, batch
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def names(self, step: int, batches: int = 1) -> list[str]:
        """The samples that step ``step`` sees, which takes so many batches; all processes' together."""
        count = batches * self.size
        return [self.samples[self._index(item)].name for item in range(step * count, (step + 1) * count)]

    def epoch(self, step: int) -> float:
        """How many times each sample has been shown before a step."""
        return step * self.size / len(self.samples)

    def _crop(self, item: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        index = self._index(item)
        choice = draw(self.samples[index].size, self.how, np.random.default_rng([self.seed, 1, item]))
        return apply(choice, *self.cache.read(index))

    def _index(self, item: int) -> int:
        epoch, at = divmod(item, len(self.samples))
        return int(self._order(epoch)[at])

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.samples))
