"""Scores equal what a hand computes; ignored pixels and absent classes count nowhere; parts add up to the whole."""

import json
import math

import numpy as np
import pytest
import torch

from segmentation.metrics import Boundary, Confusion, mean, outline, within

#           target          predicted
#           0 0 1 1         0 1 1 1
#           0 2 2 x         0 2 0 2      x is ignored
TARGET = np.array([[0, 0, 1, 1], [0, 2, 2, 255]], np.uint8)
PREDICTED = np.array([[0, 1, 1, 1], [0, 2, 0, 2]], np.uint8)


def confusion(classes=4):
    matrix = Confusion(classes)
    matrix.add(TARGET, PREDICTED)
    return matrix


def test_the_matrix_is_the_one_a_hand_counts():
    assert confusion().counts.tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    assert confusion().pixels == 7


def test_scores_are_those_a_hand_computes():
    matrix = confusion()
    assert matrix.iou == [2 / 4, 2 / 3, 1 / 2, None]
    assert matrix.accuracy == [2 / 3, 1, 1 / 2, None]
    assert matrix.precision == [2 / 3, 2 / 3, 1, None]
    assert matrix.mean_iou == pytest.approx((2 / 4 + 2 / 3 + 1 / 2) / 3)
    assert matrix.mean_accuracy == pytest.approx((2 / 3 + 1 + 1 / 2) / 3)
    assert matrix.pixel_accuracy == 5 / 7


def test_what_is_predicted_on_ignored_pixels_changes_nothing():
    other, matrix = PREDICTED.copy(), Confusion(4)
    other[1, 3] = 0
    matrix.add(TARGET, other)
    assert np.array_equal(matrix.counts, confusion().counts)
    target = np.random.default_rng(0).integers(0, 3, (30, 30))
    target[:, 10:20] = 255
    scores = []
    for seed in range(2):
        predicted = np.where(target == 255, np.random.default_rng(seed).integers(0, 3, (30, 30)), 1)
        boundary = Boundary(3)
        boundary.add(target, predicted)
        scores.append(boundary.scores)
    assert scores[0] == scores[1]


def test_an_absent_class_is_none_and_a_made_up_one_is_0():
    matrix = Confusion(3)
    matrix.add(np.zeros((2, 2), int), np.array([[0, 0], [0, 1]]))
    assert matrix.iou == [0.75, 0.0, None]
    assert matrix.accuracy == [0.75, None, None]
    empty = Confusion(3)
    empty.add(np.full((2, 2), 255), np.zeros((2, 2), int))
    assert empty.iou == [None] * 3
    assert empty.mean_iou is empty.pixel_accuracy is empty.mean_accuracy is None
    assert "nan" not in empty.table(["a", "b", "c"]).lower()
    assert "–" in empty.table(["a", "b", "c"])
    assert mean([None, None]) is None


def test_two_halves_add_up_to_the_whole_on_arrays_and_tensors():
    random = np.random.default_rng(0)
    target, predicted = random.integers(0, 5, (2, 40, 50)).astype(np.uint8)
    whole, halves = Confusion(5), [Confusion(5), Confusion(5)]
    whole.add(target, predicted)
    halves[0].add(target[:20], predicted[:20])
    halves[1].add(torch.from_numpy(target[20:]), torch.from_numpy(predicted[20:]).long())
    assert np.array_equal((halves[0] + halves[1]).counts, whole.counts)
    loop = np.zeros((5, 5), np.int64)
    for row, column in zip(target.ravel(), predicted.ravel(), strict=True):
        loop[row, column] += 1
    assert np.array_equal(whole.counts, loop)


def test_wrong_ids_and_shapes_are_refused():
    matrix = Confusion(3)
    with pytest.raises(ValueError, match="target holds 3; the classes are 0 to 2"):
        matrix.add(np.array([3]), np.array([0]))
    with pytest.raises(ValueError, match="predicted holds 255"):
        matrix.add(np.array([0]), np.array([255], np.uint8))
    with pytest.raises(ValueError, match="target is"):
        matrix.add(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="counts are"):
        Confusion(3, np.zeros((2, 2)))


def test_everything_goes_into_json_without_nan():
    boundary = Boundary(4)
    boundary.add(TARGET, PREDICTED)
    names = ["a", "b", "c", "d"]
    values = json.loads(json.dumps(confusion().to_json(names, boundary), allow_nan=False))
    assert values["mean_iou"] == confusion().mean_iou
    assert values["classes"][3] == {
        "name": "d",
        "iou": None,
        "accuracy": None,
        "precision": None,
        "boundary_f": None,
        "pixels": 0,
    }
    assert "boundary_f" not in confusion().to_json(names)["classes"][0]


def test_the_table_lines_up_and_has_the_means():
    boundary = Boundary(4)
    boundary.add(TARGET, PREDICTED)
    lines = confusion().table(["road", "a long name", "c", "d"], boundary).splitlines()
    assert lines[0].split()[:3] == ["class", "IoU", "accuracy"]
    assert "boundary F" in lines[0]
    assert lines[1].startswith("road         50.0")
    assert lines[5].split()[:3] == ["mean", "55.6", "72.2"]
    assert lines[6] == "all pixels right: 71.4 %"


@pytest.mark.parametrize("radius", [0.0, 1.0, 1.5, 2.3, 4.5, 9.0])
def test_within_is_the_distance_to_the_nearest_mark(radius):
    marks = torch.from_numpy(np.random.default_rng(0).random((25, 31)) < 0.01)
    places = marks.nonzero().float()
    grid = torch.stack(torch.meshgrid(torch.arange(25), torch.arange(31), indexing="ij"), -1).float().reshape(-1, 2)
    nearest = torch.cdist(grid, places).min(1).values.reshape(25, 31)
    assert torch.equal(within(marks, radius), nearest <= radius + 1e-4)


def test_an_outline_touches_another_class_and_neither_the_edge_nor_what_is_ignored():
    inside = torch.zeros(5, 6, dtype=torch.bool)
    inside[:, :3] = True
    valid = torch.ones_like(inside)
    expected = torch.zeros_like(inside)
    expected[:, 2] = True
    assert torch.equal(outline(inside, valid), expected)
    valid[:, 3] = False
    assert not outline(inside, valid).any()


def stripes(edge, height=30, width=40):
    ids = np.zeros((height, width), np.uint8)
    ids[:, edge:] = 1
    return ids


@pytest.mark.parametrize(("off", "score"), [(0, 1.0), (1, 1.0), (3, 1.0), (4, 0.0), (9, 0.0)])
def test_a_boundary_within_the_tolerance_is_right_and_beyond_it_wrong(off, score):
    boundary = Boundary(2, tolerance=3 / math.hypot(30, 40))
    boundary.add(stripes(20), stripes(20 + off))
    assert boundary.scores == [score, score]


def test_boundary_scores_are_means_over_the_pictures_in_which_a_class_has_an_outline():
    boundary, later = Boundary(3, tolerance=0.02), Boundary(3, tolerance=0.02)
    boundary.add(stripes(20), stripes(20))
    later.add(stripes(20), np.zeros((30, 40), np.uint8))
    later.add(np.zeros((30, 40), np.uint8), np.zeros((30, 40), np.uint8))
    both = boundary + later
    assert both.pictures.tolist() == [2, 2, 0]
    assert both.scores == [0.5, 0.5, None]
    assert both.mean == 0.5


def test_a_boundary_score_is_the_one_a_hand_computes():
    # 10 rows, an edge between columns 4 and 5; predicted the same for the upper 5 rows, shifted by 4 below
    target, predicted = stripes(5, 10, 20), stripes(5, 10, 20)
    predicted[5:, 5:9] = 0
    boundary = Boundary(2, tolerance=0.0)
    boundary.add(target, predicted)
    # class 1, true outline: column 5, 10 pixels; found: column 5 in 5 rows, (4, 5) to (4, 8) above the step, column 9
    # in 5 rows: 5 + 3 + 5 = 13, of which the 5 in column 5 are true; recall 5 / 10
    precision, recall = 5 / 13, 5 / 10
    assert boundary.scores[1] == pytest.approx(2 * precision * recall / (precision + recall))
