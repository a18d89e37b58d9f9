"""Batches are a function of seed and step: of nothing else."""

import itertools
import threading

import numpy as np
import pytest
import torch

from segmentation.data import Shapes
from segmentation.data.crops import Cache, Crops
from segmentation.data.samples import ArraySample
from segmentation.transforms import IMAGENET, NO_AUGMENTATION, Augmentation
from shared.errors import InputError

HOW = Augmentation(crop=(32, 40))


@pytest.fixture(scope="module")
def samples():
    return Shapes(count=10, size=(48, 64)).load(0).train


def same(one, two):
    return all(torch.equal(each, other) for each, other in zip(one, two, strict=True))


def test_shapes_types_and_layout(samples):
    images, masks = Crops(samples, HOW, 3, seed=0).batch(0)
    assert images.shape == (3, 3, 32, 40)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert masks.shape == (3, 32, 40)
    assert masks.dtype == torch.int64
    assert set(masks.unique().tolist()) <= {0, 1, 2, 3, 255}


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_batches_do_not_depend_on_workers_cache_or_where_a_run_resumes(samples, workers):
    reference = Crops(samples, HOW, 4, seed=7)
    other = Crops(samples, HOW, 4, seed=7, cache=0 if workers % 2 else 20_000)
    for start in (0, 5):
        steps = list(other.ahead(start, 9, workers=workers))
        assert [step for step, _ in steps] == list(range(start, 9))
        assert all(same(batch, reference.batch(step)) for step, batch in steps)


def test_another_seed_is_another_run(samples):
    one, two = (Crops(samples, HOW, 4, seed=seed).batch(0) for seed in range(2))
    assert not same(one, two)


def test_an_epoch_shows_every_sample_once_and_in_a_new_order():
    samples = [
        ArraySample(str(at), np.full((8, 8, 3), at, np.uint8), np.full((8, 8), at, np.uint8), 9) for at in range(9)
    ]
    crops = Crops(samples, Augmentation(crop=(8, 8), scale=(1, 1)), 3, seed=0)
    epochs = [[int(mask.min()) for step in range(at, at + 3) for mask in crops.batch(step).masks] for at in (0, 3)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(9))
    assert epochs[0] != epochs[1]
    assert [crops.names(step, 3) for step in (0, 1)] == [[str(at) for at in epoch] for epoch in epochs]
    assert crops.epoch(6) == 2


def test_padding_is_ignored_in_the_mask_and_the_mean_colour_in_the_picture():
    sample = ArraySample("a", np.full((8, 8, 3), 200, np.uint8), np.zeros((8, 8), np.uint8), 1)
    images, masks = Crops([sample], Augmentation(crop=(20, 20), scale=(1, 1)), 1, seed=0).batch(0)
    assert int((masks == 255).sum()) == 400 - 64
    assert (images.permute(0, 2, 3, 1)[masks == 255] == 0).all()
    assert (images.permute(0, 2, 3, 1)[masks == 0] != 0).all()


def test_without_augmentation_a_batch_is_the_normalised_picture(samples):
    crops = Crops(samples, Augmentation(**(vars(NO_AUGMENTATION) | {"crop": (48, 64)})), 10, seed=0)
    images, masks = crops.batch(0)
    wanted = {sample.read()[1].tobytes(): IMAGENET.tensor(sample.read()[0])[0] for sample in samples}
    for image, mask in zip(images, masks, strict=True):
        assert torch.allclose(image, wanted[mask.numpy().astype(np.uint8).tobytes()], atol=1e-6)


def test_the_cache_keeps_to_its_bytes(samples):
    size = 48 * 64 * 4
    cache = Cache(samples, most=3 * size)
    for at in (0, 1, 2, 3, 0, 4, 0):
        pixels, _ = cache.read(at)
        assert np.array_equal(pixels, samples[at].read()[0])
        assert cache.bytes <= 3 * size
    assert cache.bytes == 3 * size


def test_closing_early_or_failing_leaves_no_thread(samples):
    crops = Crops(samples, HOW, 2, seed=0)
    batches = crops.ahead(workers=3)
    assert [step for step, _ in itertools.islice(batches, 2)] == [0, 1]
    batches.close()

    class Gone:
        name, size, counts = "gone", (48, 64), np.zeros(5, np.int64)

        def read(self):
            raise InputError("gone.png: cannot be opened (No such file); check its name")

    with pytest.raises(InputError, match=r"gone\.png"):
        list(Crops([Gone()], HOW, 2, seed=0).ahead(0, 5))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("crops")]
