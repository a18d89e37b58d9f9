"""Picture and mask stay together through every change, what is beyond the picture is ignored, and all is repeatable."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from segmentation.transforms import (
    IMAGENET,
    NO_AUGMENTATION,
    Augmentation,
    Choice,
    Normalisation,
    apply,
    draw,
    flip,
    recolour,
    resize,
    resize_ids,
)
from shared.config import from_json, to_json

PLAIN = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}


def coordinates(height=100, width=140):
    """Red is the column, green the row, both in levels; the mask is a chequerboard of 20 pixels, told from both."""
    row, column = np.mgrid[:height, :width]
    pixels = np.stack([column, row, np.zeros_like(row)], -1).astype(np.uint8)
    return pixels, chequer(row, column)


def chequer(row, column):
    return ((row // 20) * 3 + (column // 20) * 5).astype(np.uint8) % 11


@pytest.mark.parametrize("seed", range(25))
def test_each_pixel_keeps_its_label(seed):
    pixels, ids = coordinates()
    how = Augmentation(crop=(90, 110), flip=0.5, **PLAIN)
    choice = draw(ids.shape, how, np.random.default_rng(seed))
    out, labels, real = apply(choice, pixels, ids)
    column, row = (out[..., at].astype(float) for at in (0, 1))
    clear = real & (np.abs(row % 20 - 9.5) < 8) & (np.abs(column % 20 - 9.5) < 8)  # away from the lines
    assert clear.any()
    assert np.array_equal(labels[clear], chequer(row[clear], column[clear]))
    assert (labels[~real] == 255).all()
    assert (out[~real] == 0).all()


def test_without_augmentation_a_crop_of_the_whole_is_the_whole():
    pixels, ids = coordinates()
    how = dataclasses.replace(NO_AUGMENTATION, crop=ids.shape)
    out, labels, real = apply(draw(ids.shape, how, np.random.default_rng(3)), pixels, ids)
    assert np.array_equal(out, pixels)
    assert np.array_equal(labels, ids)
    assert real.all()


@pytest.mark.parametrize("scale", [0.5, 0.77, 1.3, 2.0])
def test_a_crop_is_a_part_of_the_whole_scaled_picture(scale):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    ids = random.integers(0, 5, (60, 80)).astype(np.uint8)
    size = (round(60 * scale), round(80 * scale))
    out, labels, _ = apply(Choice((20, 25), scale, 4, 7), pixels, ids)
    whole = np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR))
    assert np.abs(out.astype(int) - whole[4:24, 7:32]).max() <= 1
    assert np.mean(labels == resize_ids(ids, size)[4:24, 7:32]) > 0.9  # but for ties
    assert np.array_equal(resize(pixels, size), whole)


def test_what_lies_beyond_the_picture_is_ignored_never_class_0():
    pixels, ids = np.full((10, 12, 3), 77, np.uint8), np.zeros((10, 12), np.uint8)
    for seed in range(20):
        choice = draw((10, 12), Augmentation(crop=(40, 50), **PLAIN), np.random.default_rng(seed))
        out, labels, real = apply(choice, pixels, ids)
        assert np.array_equal(labels == 255, ~real)
        assert (out[real] == 77).all()
        assert real.any()


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (9, 8)])
def test_any_size_can_be_cropped(size):
    pixels, ids = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
    for seed in range(10):
        out, labels, _ = apply(draw(size, Augmentation(crop=(33, 47)), np.random.default_rng(seed)), pixels, ids)
        assert out.shape == (33, 47, 3)
        assert labels.shape == (33, 47)


def test_flipping_twice_changes_nothing():
    pixels, ids = coordinates()
    assert np.array_equal(flip(flip(pixels)), pixels)
    assert np.array_equal(flip(flip(ids)), ids)
    once = apply(Choice((50, 60), 1.3, 4, 5, mirrored=True), pixels, ids)
    plain = apply(Choice((50, 60), 1.3, 4, 5), pixels, ids)
    assert all(np.array_equal(flip(one), other) for one, other in zip(once, plain, strict=True))


def test_crops_reach_every_part_and_every_scale():
    choices = [draw((100, 100), Augmentation(crop=(50, 50)), np.random.default_rng(seed)) for seed in range(400)]
    scales = np.log2([choice.scale for choice in choices])
    assert scales.min() < -0.95
    assert scales.max() > 0.95
    assert abs(scales.mean()) < 0.1
    assert 0.4 < np.mean([choice.mirrored for choice in choices]) < 0.6
    assert min(choice.top for choice in choices) == 0
    assert max(choice.top + 50 - round(100 * choice.scale) for choice in choices) == 0


def test_neutral_colours_change_nothing_and_hue_turns_red_into_green():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    assert np.array_equal(recolour(pixels, (1, 1, 1, 0)), pixels)
    red = np.tile(np.array([200, 0, 0], np.uint8), (8, 8, 1))
    assert np.array_equal(recolour(red, (1, 1, 1, 1 / 3))[0, 0], [0, 200, 0])
    assert np.array_equal(recolour(red, (0.5, 1, 1, 0))[0, 0], [100, 0, 0])
    grey = recolour(pixels, (1, 1, 0, 0))
    assert (grey[..., 0] == grey[..., 1]).all()
    flat = recolour(pixels, (1, 0, 1, 0))
    assert flat.min() == flat.max()


def test_colours_change_the_picture_alone():
    pixels, ids = coordinates()
    plain = apply(Choice((50, 60), 1.0, 4, 5), pixels, ids)
    changed = apply(Choice((50, 60), 1.0, 4, 5, colour=(1.2, 0.8, 1.3, 0.02)), pixels, ids)
    assert not np.array_equal(plain[0], changed[0])
    assert np.array_equal(plain[1], changed[1])


def test_normalising_is_the_formula_and_gives_channels_last():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    expected = (pixels / 255 - np.array(IMAGENET.mean)) / np.array(IMAGENET.std)
    tensor = IMAGENET.tensor(pixels, pixels)
    assert tensor.shape == (2, 3, 6, 5)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(tensor[1].permute(1, 2, 0).numpy(), expected, atol=1e-6)


def test_settings_go_through_json_and_nonsense_is_refused():
    for each in (Augmentation(crop=(3, 4)), Normalisation(mean=(0.0, 0.1, 0.2))):
        assert from_json(type(each), to_json(each)) == each
    for wrong in ({"crop": (0, 5)}, {"scale": (2.0, 1.0)}, {"scale": (0.0, 1.0)}, {"flip": 1.5}, {"hue": 0.7}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Augmentation(**wrong)
    with pytest.raises(ValueError, match="std"):
        Normalisation(std=(1.0, 0.0, 1.0))
