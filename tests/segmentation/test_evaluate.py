"""Evaluation: what it counts is what was predicted, on whole pictures, and its pictures show it."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from segmentation.data.samples import ArraySample
from segmentation.evaluate import WRONG, confusion_png, errors, evaluate, worst_sheet
from segmentation.metrics import Confusion
from segmentation.model import ModelConfig, SegmentationModel
from segmentation.networks import PoolFree
from segmentation.palette import IGNORE, numbered
from shared.errors import InputError

CLASSES = numbered(3, ("road", "$car_{", "人"))
SIZES = [(40, 57), (33, 20), (64, 64), (1, 1)]


@pytest.fixture(scope="module")
def model() -> SegmentationModel:
    return SegmentationModel(ModelConfig(network=PoolFree(stem_stride=4, width=4), classes=CLASSES))


@pytest.fixture(scope="module")
def samples(model) -> list[ArraySample]:
    """Truths that the model gets right but for a share that grows from one sample to the next."""
    random, made = np.random.default_rng(0), []
    for at, size in enumerate(SIZES):
        pixels = random.integers(0, 256, (*size, 3), np.uint8)
        ids = model.predict(pixels).ids
        wrong = random.random(size) < 0.2 * at
        made.append(ArraySample(f"sample {at}", pixels, np.where(wrong, (ids + 1) % 3, ids).astype(np.uint8), 3))
    made[3].ids[:] = IGNORE
    return made


def test_counts_are_those_of_all_pixels_of_all_pictures(model, samples) -> None:
    calls = []
    evaluation = evaluate(model, samples, progress=lambda done, of: calls.append((done, of)))
    expected = Confusion(3)
    for sample in samples:
        expected.add(sample.ids, model.predict(sample.pixels).ids)
    assert np.array_equal(evaluation.confusion.counts, expected.counts)
    assert evaluation.confusion.pixels == sum(height * width for height, width in SIZES[:3])
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert evaluation.images_per_second > 0


def test_a_model_that_is_always_right_scores_one(model, samples) -> None:
    evaluation = evaluate(model, samples[:1])
    assert evaluation.confusion.mean_iou == 1
    assert evaluation.boundary.mean in (1, None)
    assert evaluation.pictures[0].mean_iou == 1


def test_the_worst_come_first_and_what_has_no_score_does_not(model, samples) -> None:
    evaluation = evaluate(model, samples, boundary=False)
    assert evaluation.pictures[3].mean_iou is None
    assert evaluation.worst() == [2, 1, 0]
    assert evaluation.worst(1) == [2]


def test_the_report_is_text_and_json(model, samples) -> None:
    evaluation = evaluate(model, samples)
    lines = evaluation.lines()
    assert lines[1].startswith("road")
    assert lines[-1].startswith("4 pictures · ")
    values = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert values["mean_iou"] == evaluation.confusion.mean_iou
    assert [each["name"] for each in values["pictures"]] == [sample.name for sample in samples]
    assert "mean_boundary_f" not in evaluate(model, samples, boundary=False).to_json()


def test_options_of_prediction_are_passed_on(model, samples) -> None:
    mirrored = evaluate(model, samples[1:2], flip=True, boundary=False)
    expected = Confusion(3)
    expected.add(samples[1].ids, model.predict(samples[1].pixels, flip=True).ids)
    assert np.array_equal(mirrored.confusion.counts, expected.counts)


def test_what_cannot_be_scored_is_said_in_one_line(model) -> None:
    with pytest.raises(InputError, match="no samples"):
        evaluate(model, [])
    foreign = ArraySample("street", np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 7, np.uint8), 8)
    with pytest.raises(InputError, match="street: target holds 7"):
        evaluate(model, [foreign])


def test_the_sheet_has_a_row_for_each_of_the_worst(model, samples) -> None:
    evaluation = evaluate(model, samples, boundary=False)
    one, two = (worst_sheet(model, samples, evaluation, count) for count in (1, 2))
    assert one.dtype == np.uint8
    assert len(two) > len(one) + 100
    assert (one == WRONG).all(2).any()
    assert not (worst_sheet(model, samples[:1], evaluate(model, samples[:1])) == WRONG).all(2).any()
    assert worst_sheet(model, samples[3:], evaluate(model, samples[3:])).shape[2] == 3


def test_errors_are_red_where_the_ids_differ_and_nowhere_else() -> None:
    ids, found = np.array([[0, 1, IGNORE]], np.uint8), np.array([[0, 2, 1]], np.uint8)
    red = (errors(np.zeros((1, 3, 3), np.uint8), ids, found) == WRONG).all(2)
    assert red.tolist() == [[False, True, False]]


@pytest.mark.parametrize("classes", [2, 3, 60])
def test_the_confusion_matrix_is_a_picture_whatever_the_names_and_counts(classes: int) -> None:
    table = CLASSES if classes == 3 else numbered(classes)
    counts = np.random.default_rng(0).integers(0, 1000, (classes, classes))
    counts[-1] = 0  # a class that never occurs
    image = Image.open(io.BytesIO(confusion_png(Confusion(classes, counts), table)))
    assert image.format == "PNG"
    assert min(image.size) > 200
