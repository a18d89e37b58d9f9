"""A model on disk is the model in memory, and says in one line why something else is none."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import segmentation
from segmentation.images import Picture
from segmentation.model import ModelConfig, SegmentationModel
from segmentation.networks import DeepLabV3, DeepLabV3Plus, PoolFree
from segmentation.palette import VOC, Classes, numbered
from segmentation.transforms import Normalisation
from shared.errors import InputError
from shared.training import checkpoint

CONFIG = ModelConfig(
    network=DeepLabV3(depth=18, width=8, channels=8, auxiliary=True),
    classes=Classes(names=("road", "car", "sky"), colours=((1, 2, 3), (4, 5, 6), (7, 8, 9)), values=(7, 1, 3)),
    normalisation=Normalisation(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)),
)


def picture(height: int = 40, width: int = 57) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        ModelConfig(network=PoolFree(stem_stride=4, width=4, rates=(1, 2)), classes=numbered(2)),
        ModelConfig(network=DeepLabV3Plus(depth=50, width=4, channels=8), classes=VOC),
    ],
)
def test_what_was_saved_comes_back(tmp_path: Path, config: ModelConfig) -> None:
    model = SegmentationModel(config)
    model.save_pretrained(tmp_path)
    again = segmentation.SegmentationModel.from_pretrained(tmp_path)
    assert again.config == config
    assert not again.network.training
    ours, theirs = model.network.state_dict(), again.network.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    first, second = model.predict(picture(), probabilities=True), again.predict(picture(), probabilities=True)
    assert np.array_equal(first.ids, second.ids)
    assert np.array_equal(first.probabilities, second.probabilities)


def test_the_file_holds_the_networks_own_entries(tmp_path: Path) -> None:
    model = SegmentationModel(CONFIG)
    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert set(file.keys()) == set(model.network.state_dict())
    assert json.loads((tmp_path / "config.json").read_text())["model"]["network"]["type"] == "DeepLabV3"


def test_loading_draws_no_random_number(tmp_path: Path) -> None:
    SegmentationModel(CONFIG).save_pretrained(tmp_path)
    before = torch.get_rng_state()
    SegmentationModel.from_pretrained(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def damage(folder: Path, what: str) -> Path:
    weights = folder / "model.safetensors"
    values = checkpoint.load_config(folder)
    match what:
        case "no folder":
            return folder / "gone"
        case "no weights":
            weights.unlink()
        case "cut weights":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "other network":
            values["model"]["network"]["width"] = 16
        case "unknown network":
            values["model"]["network"]["type"] = "UNet"
        case "no classes":
            del values["model"]["classes"]
        case "two of one name":
            values["model"]["classes"]["names"] = ["a", "a", "b"]
        case "one class":
            values["model"]["classes"] = {"names": ["a"], "colours": [[0, 0, 0]]}
        case "no model":
            del values["model"]
        case "huge":
            values["model"]["network"]["width"] = 10**9
    checkpoint.save_config(folder, values)
    return folder


@pytest.mark.parametrize(
    "what",
    [
        *("no folder", "no weights", "cut weights", "other network", "unknown network"),
        *("no classes", "two of one name", "one class", "no model", "huge"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(tmp_path: Path, what: str) -> None:
    SegmentationModel(CONFIG).save_pretrained(tmp_path)
    with pytest.raises(InputError) as caught:
        SegmentationModel.from_pretrained(damage(tmp_path, what))
    assert "\n" not in str(caught.value)


def test_a_picture_can_be_a_file_an_array_or_open_already(tmp_path: Path) -> None:
    model, pixels = SegmentationModel(CONFIG), picture()
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    expected = model.predict(pixels).ids
    with Image.open(path) as image:
        for given in (path, str(path), Picture(pixels), image):
            assert np.array_equal(model.predict(given).ids, expected)
    with pytest.raises(InputError, match=r"gone\.png"):
        model.predict(tmp_path / "gone.png")


def test_remarks_on_the_file_come_first(tmp_path: Path) -> None:
    path = tmp_path / "tiny.png"
    Image.fromarray(picture(4, 4)).save(path)
    assert "only 4 × 4 pixels" in SegmentationModel(CONFIG).predict(path).remarks[0]


def test_a_prediction_follows_the_weights() -> None:
    model, pixels = SegmentationModel(CONFIG), picture()
    form = model.form()
    assert model.form() is form
    before = model.predict(pixels, probabilities=True).probabilities
    optimizer = torch.optim.SGD(model.network.parameters(), lr=10.0)
    model.network.train()(torch.randn(2, 3, 64, 64)).square().mean().backward()
    optimizer.step()
    assert model.form() is not form
    trained = model.predict(pixels, probabilities=True).probabilities
    assert not np.array_equal(trained, before)
    model.network.load_state_dict(SegmentationModel(CONFIG).network.state_dict())
    assert not np.array_equal(model.predict(pixels, probabilities=True).probabilities, trained)


def test_network_and_table_must_agree() -> None:
    with pytest.raises(ValueError, match="knows 5 classes, the table 3"):
        SegmentationModel(CONFIG, CONFIG.network.build(5))
    with pytest.raises(ValueError, match="nothing to tell apart"):
        ModelConfig(network=PoolFree(), classes=numbered(1))


def test_a_model_works_where_it_is_told_to(tmp_path: Path, device: torch.device) -> None:
    model = SegmentationModel(CONFIG)
    expected = model.predict(picture()).ids
    model.save_pretrained(tmp_path)
    there = SegmentationModel.from_pretrained(tmp_path, device)
    assert there.device.type == device.type
    assert (there.predict(picture()).ids == expected).mean() > 0.99
    assert there.predict(picture(), fast=True, flip=True, tile=32).ids.shape == expected.shape


def test_a_model_made_in_inference_mode_predicts() -> None:
    with torch.inference_mode():
        model = SegmentationModel(CONFIG)
    assert model.predict(picture()).ids.shape == (40, 57)
