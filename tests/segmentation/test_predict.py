"""A prediction: an id for every pixel of any picture, and files that viewers and programs understand."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segmentation.images import read_image, read_mask
from segmentation.model import ModelConfig, SegmentationModel
from segmentation.networks import DeepLabV3Plus
from segmentation.palette import numbered
from segmentation.palette import overlay as mixed
from segmentation.predict import ROWS, Prediction, best
from segmentation.transforms import IMAGENET

CLASSES = numbered(5)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def model() -> SegmentationModel:
    torch.manual_seed(1)
    model = SegmentationModel(ModelConfig(network=DeepLabV3Plus(depth=18, width=8, channels=16), classes=CLASSES))
    torch.nn.init.normal_(model.network.classifier.classify.weight)  # so that more than one class is seen
    model.network.eval()
    return model


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (33, 47), (64, 64), (101, 240)])
@pytest.mark.parametrize("options", [{}, {"fast": True}, {"flip": True, "scales": (0.5, 1.25)}, {"tile": 48}])
def test_every_pixel_of_any_picture_gets_a_class(model, size, options) -> None:
    prediction = model.predict(picture(*size), probabilities=True, **options)
    assert prediction.ids.shape == size
    assert prediction.ids.dtype == np.uint8
    assert prediction.ids.max() < 5
    assert prediction.probabilities.shape == (5, *size)
    assert prediction.probabilities.dtype == np.float16
    assert np.allclose(prediction.probabilities.sum(0, dtype=np.float32), 1, atol=4e-3)
    chosen = np.take_along_axis(prediction.probabilities, prediction.ids[None].astype(np.int64), 0)[0]
    assert (chosen >= prediction.probabilities.max(0) - 1e-3).all()


@pytest.mark.parametrize("size", [(33, 47), (101, 240)])
def test_ids_are_the_argmax_of_the_plain_networks_logits(model, size) -> None:
    pixels = picture(*size)
    with torch.inference_mode():
        logits = model.network(IMAGENET.tensor(pixels))[0]
    found = torch.from_numpy(model.predict(pixels).ids)
    second, first = logits.sort(0).values[-2:]
    differs = found != logits.argmax(0)
    assert differs.float().mean() <= 1e-4
    assert (first - second)[differs].lt(1e-3).all()


def test_asking_for_probabilities_changes_no_id(model) -> None:
    pixels = picture(60, 80)
    assert np.array_equal(model.predict(pixels).ids, model.predict(pixels, probabilities=True).ids)


@pytest.mark.parametrize("layout", [(0, 1, 2), (1, 2, 0)])
def test_of_equal_scores_the_first_class_wins(layout) -> None:
    scores = torch.randint(0, 3, (6, 20, 30)).float().permute(layout).contiguous()
    scores = scores.permute(torch.tensor(layout).argsort().tolist())
    assert np.array_equal(best(scores), scores.numpy().argmax(0))


@pytest.mark.parametrize("options", [{}, {"tile": 48}, {"tile": 48, "flip": True}])
def test_progress_ends_when_all_pixels_are_done(model, options) -> None:
    calls = []
    model.predict(picture(100, 130), progress=lambda done, of: calls.append((done, of)), **options)
    assert calls[-1] == (13_000, 13_000)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


@pytest.mark.parametrize(
    "given",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 4), "u1"),
    ],
)
def test_what_is_no_picture_is_refused(model, given) -> None:
    with pytest.raises(ValueError, match="a picture is uint8"):
        model.predict(given)


@pytest.mark.parametrize(
    "options", [{"tile": -1}, {"tile": 32, "overlap": 0}, {"tile": 32, "overlap": 30}, {"scales": ()}]
)
def test_options_that_make_no_sense_are_refused(model, options) -> None:
    with pytest.raises(ValueError, match=r"tile|scales"):
        model.predict(picture(50, 50), **options)


def seen(ids: np.ndarray) -> Prediction:
    return Prediction(ids, picture(*ids.shape), CLASSES)


def test_a_class_that_covers_nearly_everything_is_remarked_on(model) -> None:
    with torch.no_grad():
        kept = model.network.classifier.classify.bias.clone()
        model.network.classifier.classify.bias[3] += 1e4
        try:
            (remark,) = model.predict(picture(30, 40)).remarks
        finally:
            model.network.classifier.classify.bias.copy_(kept)
    assert remark.startswith("class 3 covers 100.0% of the picture")
    assert model.predict(picture(60, 80)).remarks == ()


def test_the_mask_that_is_saved_holds_the_ids_and_shows_the_colours(tmp_path: Path) -> None:
    prediction = seen(np.random.default_rng(1).integers(0, 5, (20, 30), np.uint8))
    prediction.save(tmp_path / "a.png")
    stored = read_mask(tmp_path / "a.png")
    assert stored.storage == "palette"
    assert np.array_equal(stored.values, prediction.ids)
    assert np.array_equal(read_image(tmp_path / "a.png").pixels, prediction.coloured())


def test_overlays_are_mixed_in_parts_as_in_one(tmp_path: Path) -> None:
    prediction = seen(np.random.default_rng(1).integers(0, 5, (2 * ROWS + 3, 7), np.uint8))
    expected = mixed(prediction.pixels, prediction.ids, CLASSES)
    assert np.array_equal(prediction.overlay(), expected)
    prediction.save_overlay(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png").pixels, expected)
    prediction.save_overlay(tmp_path / "a.JPG")
    with Image.open(tmp_path / "a.JPG") as image:
        assert image.format == "JPEG"
    prediction.save_side_by_side(tmp_path / "b.png")
    assert read_image(tmp_path / "b.png").pixels.shape == (2 * ROWS + 3, 2 * 7 + 8, 3)


def test_probabilities_that_are_saved_come_back(model, tmp_path: Path) -> None:
    prediction = model.predict(picture(20, 30), probabilities=True)
    prediction.save_probabilities(tmp_path / "a.npy")
    assert np.array_equal(np.load(tmp_path / "a.npy"), prediction.probabilities)
    with pytest.raises(ValueError, match="no probabilities"):
        model.predict(picture(20, 30)).save_probabilities(tmp_path / "b.npy")


def test_shares_are_those_of_the_ids() -> None:
    assert seen(np.array([[0, 0], [1, 4]], np.uint8)).shares.tolist() == [0.5, 0.25, 0, 0, 0.25]


def test_writing_probabilities_takes_no_memory_of_their_size(tmp_path):
    shape = (4, 500, 500)
    probabilities = np.random.default_rng(0).random(shape).astype(np.float16)
    blank = np.zeros((500, 500), np.uint8)
    prediction = Prediction(blank, np.repeat(blank[..., None], 3, 2), CLASSES, probabilities)
    tracemalloc.start()
    try:
        prediction.save_probabilities(tmp_path / "a.npy")
        assert tracemalloc.get_traced_memory()[1] < probabilities.nbytes / 4
    finally:
        tracemalloc.stop()
    assert np.array_equal(np.load(tmp_path / "a.npy"), probabilities)
