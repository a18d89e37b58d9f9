"""Tiles: with the network's halo they change nothing; without one they change little; and memory stays flat."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from segmentation import tiles
from segmentation.fast import InferenceForm
from segmentation.networks import DeepLabV3Plus, PoolFree
from segmentation.palette import numbered
from segmentation.predict import predict
from segmentation.tiles import Piece, Views, best_side, blended, enlarged_rows, exact, largest_whole, rows_needed, whole
from segmentation.transforms import IMAGENET

FINITE = PoolFree(stem_stride=2, dilations=(1, 2), rates=(2, 3), width=4, image_pooling=False)
VIEWS = Views()


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def together(pieces: list[Piece], size: tuple[int, int], classes: int) -> torch.Tensor:
    """All scores in one, with a check that every pixel is given once."""
    scores, times = torch.zeros(classes, *size), torch.zeros(size, dtype=torch.int)
    for top, left, part in pieces:
        area = slice(top, top + part.shape[1]), slice(left, left + part.shape[2])
        scores[:, *area] = part
        times[area] += 1
    assert (times == 1).all()
    return scores


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("size", [(190, 233), (64, 301), (97, 20)])
@pytest.mark.parametrize("side", [16, 100])
def test_tiles_with_the_halo_give_what_the_whole_picture_gives(stride, size, side) -> None:
    network = PoolFree(stem_stride=stride, dilations=(1, 2), rates=(2, 3), width=4, image_pooling=False)
    form, pixels = InferenceForm(network.build(3)), picture(*size)
    for soft in (False, True):
        expected = together(list(whole(form, pixels, VIEWS, soft=soft)), size, 3)
        found = together(list(exact(form, pixels, VIEWS, side, soft=soft)), size, 3)
        assert torch.allclose(found, expected, atol=1e-6)


def test_a_smaller_halo_would_show() -> None:
    form, pixels = InferenceForm(FINITE.build(3)), picture(120, 120)
    expected = together(list(whole(form, pixels, VIEWS, soft=False)), (120, 120), 3)
    form.halo = 4
    found = together(list(exact(form, pixels, VIEWS, 32, soft=False)), (120, 120), 3)
    assert not torch.allclose(found, expected, atol=1e-6)


def test_the_whole_picture_is_the_networks_own_answer_strip_by_strip(monkeypatch) -> None:
    monkeypatch.setattr(tiles, "STRIP", 4 * 5 * 131 * 10)  # ten rows
    network = DeepLabV3Plus(depth=18, width=8, channels=8).build(5).eval()
    pixels = picture(97, 131)
    pieces = list(whole(InferenceForm(network), pixels, VIEWS, soft=False))
    assert len(pieces) == 10
    with torch.inference_mode():
        expected = network(IMAGENET.tensor(pixels))[0]
    assert torch.allclose(together(pieces, (97, 131), 5), expected, atol=1e-4)


@pytest.mark.parametrize("size", [(97, 131), (20, 30), (64, 64), (20, 5)])
@pytest.mark.parametrize("height", [1, 4, 20])
def test_rows_of_an_enlargement_are_those_of_the_whole_even_from_a_strip(size, height) -> None:
    coarse = torch.randn(1, 3, height, 5)
    whole = F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
    for first in range(0, size[0], 9):
        end = min(first + 9, size[0])
        top, bottom = rows_needed(height, size[0], first, end)
        for rows in (
            enlarged_rows(coarse, size, first, end),
            enlarged_rows(coarse[:, :, top:bottom], size, first, end, top, height),
        ):
            # where a row lies is known to 1e-6 of a coarse row; noise is steep between them
            assert torch.allclose(rows, whole[:, :, first:end], atol=2e-5)


class Position(InferenceForm):
    """A network that knows nothing but the colours of a pixel: every tile should answer alike."""

    def __init__(self) -> None:
        super().__init__(FINITE.build(3))
        self.halo, self.jump = None, 1

    def coarse(self, images: torch.Tensor) -> torch.Tensor:
        return images.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("size", [(200, 331), (64, 100), (150, 30), (40, 33)])
@pytest.mark.parametrize(("side", "overlap"), [(64, 16), (50, 8), (90, 30), (96, 1)])
def test_weights_of_overlapping_tiles_add_up_to_one_everywhere(size, side, overlap) -> None:
    form, pixels = Position(), picture(*size)
    expected = together(list(whole(form, pixels, VIEWS, soft=True)), size, 3)
    pieces = list(blended(form, pixels, VIEWS, side, overlap))
    assert torch.allclose(together(pieces, size, 3), expected, atol=1e-6)
    assert max(max(piece.scores.shape[1:]) for piece in pieces) <= side


def test_blending_leaves_no_step_at_the_edge_of_a_tile() -> None:
    class Opposed(Position):
        """Says one class in one tile and another in the next."""

        calls = 0

        def coarse(self, images):
            self.calls += 1
            return torch.tensor([10.0, 0, 0]).roll(self.calls)[None, :, None, None].expand(-1, -1, *images.shape[2:])

    scores = together(list(blended(Opposed(), picture(20, 200), VIEWS, 120, 40)), (20, 200), 3)
    assert scores.diff(dim=2).abs().max() < 0.05
    assert torch.allclose(scores.sum(0), torch.ones(20, 200))


def test_several_views_are_averaged_and_mirroring_commutes() -> None:
    form = InferenceForm(DeepLabV3Plus(depth=18, width=8, channels=8).build(3))
    pixels, both = picture(65, 98), Views(flip=True)
    size = pixels.shape[:2]
    straight = together(list(whole(form, pixels, both, soft=True)), size, 3)
    mirrored = together(list(whole(form, np.ascontiguousarray(pixels[:, ::-1]), both, soft=True)), size, 3)
    assert torch.allclose(straight, mirrored.flip(2), atol=1e-5)
    alone = [
        together(list(whole(form, pixels, Views(scales=(scale,)), soft=True)), size, 3) for scale in (0.5, 1.0, 1.5)
    ]
    averaged = together(list(whole(form, pixels, Views(scales=(0.5, 1.0, 1.5)), soft=True)), size, 3)
    assert torch.allclose(averaged, torch.stack(alone).mean(0), atol=1e-6)
    assert torch.allclose(averaged.sum(0), torch.ones(size), atol=1e-5)


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, 99.0), (float("nan"),)])
def test_scales_that_make_no_sense_are_refused(scales) -> None:
    with pytest.raises(ValueError, match="scales are"):
        Views(scales=scales)


def test_tiles_that_cannot_be_are_refused() -> None:
    pixels, pooled = picture(200, 200), InferenceForm(PoolFree(width=4).build(3))
    with pytest.raises(ValueError, match="finite halo"):
        list(exact(pooled, pixels, VIEWS, 64, soft=False))
    with pytest.raises(ValueError, match="finite halo"):
        list(exact(InferenceForm(FINITE.build(3)), pixels, Views(flip=True), 64, soft=False))
    with pytest.raises(ValueError, match="cannot share"):
        list(blended(pooled, pixels, VIEWS, 64, 40))


def test_a_wider_network_looks_at_less_at_once() -> None:
    narrow, wide = (InferenceForm(PoolFree(width=width).build(3)) for width in (8, 64))
    assert largest_whole(narrow, VIEWS) == pytest.approx(8 * largest_whole(wide, VIEWS), rel=1e-3)
    assert largest_whole(wide, Views(scales=(1.0, 2.0))) == pytest.approx(largest_whole(wide, VIEWS) / 4, rel=1e-3)
    assert best_side(wide, VIEWS) < best_side(narrow, VIEWS)
    assert best_side(wide, VIEWS) % wide.jump == 0


def test_the_way_is_chosen_by_size_and_by_network(monkeypatch) -> None:
    used = []
    for name in ("whole", "exact", "blended"):
        original = getattr(tiles, name)
        monkeypatch.setattr(tiles, name, lambda *a, _name=name, _of=original, **k: used.append(_name) or _of(*a, **k))
    finite, pooled = InferenceForm(FINITE.build(3)), InferenceForm(PoolFree(width=4).build(3))
    pixels, classes = picture(300, 300), numbered(3)
    for form, options in (
        (finite, {}),
        (finite, {"tile": 128}),
        (finite, {"tile": 128, "overlap": 32}),
        (pooled, {"tile": 128}),
        (pooled, {"tile": 0}),
        (pooled, {"tile": 300}),
    ):
        predict(form, pixels, classes, VIEWS, **options)
    assert used == ["whole", "exact", "blended", "blended", "whole", "whole"]
    monkeypatch.setattr(tiles, "MOST_WHOLE", 2**20)
    monkeypatch.setattr(tiles, "MOST_TILE", 2**22)
    for form in (finite, pooled):
        predict(form, pixels, classes, VIEWS)
    assert used[-2:] == ["exact", "blended"]


LARGE = """
import sys
import numpy as np
from PIL import Image
from segmentation import SegmentationModel
from segmentation.model import ModelConfig
from segmentation.networks import PRESETS
from segmentation.palette import numbered
from tests.reliability.memory import peak
folder = sys.argv[1]
picture = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
Image.fromarray(picture).resize((8000, 6000)).save(f"{folder}/a.jpg")
model = SegmentationModel(ModelConfig(network=PRESETS["fast"], classes=numbered(21)))
prediction = model.predict(f"{folder}/a.jpg")
prediction.save(f"{folder}/mask.png")
prediction.save_overlay(f"{folder}/overlay.jpg")
print(peak() / 1e9)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is counted in another way here")
def test_a_picture_of_8000_by_6000_is_predicted_and_saved_in_less_than_two_gigabytes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LARGE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert float(done.stdout) < 2


def test_no_piece_and_no_map_is_as_large_as_the_picture(monkeypatch) -> None:
    form, sizes = Position(), []
    original = form.coarse
    monkeypatch.setattr(form, "coarse", lambda images: sizes.append(images[0, 0].numel()) or original(images))
    pieces = [piece.scores[0].numel() for piece in blended(form, picture(500, 500), VIEWS, 100, 20)]
    assert max(sizes + pieces) <= 100 * 100
