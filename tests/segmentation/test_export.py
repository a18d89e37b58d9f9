"""An exported model gives the same logits to programs without torch, at any size and number of pictures."""

import contextlib
import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from segmentation import export
from segmentation.export import export_onnx
from segmentation.model import ModelConfig, SegmentationModel
from segmentation.networks import DeepLabV3, DeepLabV3Plus, PoolFree
from segmentation.palette import numbered
from shared.errors import InputError

HERE = all(importlib.util.find_spec(name) for name in (*export.NEEDED, export.CHECKER))
with_onnx = pytest.mark.skipif(not HERE, reason="onnx, onnxscript and onnxruntime are not installed")
NETWORKS = {
    "V3": DeepLabV3(depth=50, width=4, channels=8, auxiliary=True),
    "V3+": DeepLabV3Plus(depth=18, width=8, channels=8),
    "dilated": PoolFree(stem_stride=1, width=4, image_pooling=False),
}


def model_of(name: str) -> SegmentationModel:
    return SegmentationModel(ModelConfig(network=NETWORKS[name], classes=numbered(4, ("road", "car", "sky", "人"))))


@pytest.fixture(scope="module")
def model() -> SegmentationModel:
    torch.manual_seed(0)
    return model_of("V3+")


@pytest.fixture(scope="module")
def content(model: SegmentationModel) -> bytes:
    """Converting takes seconds, so once is enough; it says nothing meanwhile."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        made = export._converted(model)
    assert (out.getvalue(), err.getvalue()) == ("", "")
    return made


def check(model: SegmentationModel, content: bytes) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    assert session.get_outputs()[0].shape == ["batch", 4, "height", "width"]
    network = model.network.eval()
    for shape in ((1, 3, 65, 97), (3, 3, 48, 33), (2, 3, 1, 1)):
        images = torch.randn(shape)
        (found,) = session.run(["logits"], {"images": images.numpy()})
        with torch.inference_mode():
            expected = network(images)
        assert (torch.from_numpy(found) - expected).abs().max() <= 1e-5 * expected.abs().max()
    notes = session.get_modelmeta().custom_metadata_map
    assert json.loads(notes["classes"]) == ["road", "car", "sky", "人"]
    assert json.loads(notes["mean"]) == list(model.config.normalisation.mean)


@with_onnx
def test_logits_are_the_models_at_every_size_and_number(model: SegmentationModel, content: bytes) -> None:
    check(model, content)


@with_onnx
@pytest.mark.slow
@pytest.mark.parametrize("name", ["V3", "dilated"])
def test_so_are_those_of_other_networks(name: str) -> None:
    other = model_of(name)
    check(other, export._converted(other))


@with_onnx
def test_the_file_is_compared_with_the_model_and_then_written(
    model, content, tmp_path: Path, monkeypatch, capfd
) -> None:
    seen, original = [], export._logits
    monkeypatch.setattr(export, "_logits", lambda model, images: seen.append(images) or original(model, images))
    monkeypatch.setattr(export, "_converted", lambda _: content)
    model.network.train()
    made = export_onnx(model, tmp_path / "model.onnx", picture=np.zeros((50, 60, 3), np.uint8))
    assert model.network.training  # as it was
    assert [tuple(each.shape[2:]) for each in seen] == [(50, 60), (30, 48)]
    assert made.difference <= export.TOLERANCE
    assert (tmp_path / "model.onnx").read_bytes() == content
    assert made.size == len(content)
    assert str(made.path) in made.text
    assert capfd.readouterr() == ("", "")


@with_onnx
def test_a_file_that_disagrees_is_not_written(model, content, tmp_path: Path, monkeypatch) -> None:
    original = export._logits
    monkeypatch.setattr(export, "_logits", lambda model, images: original(model, images) + 1)
    monkeypatch.setattr(export, "_converted", lambda _: content)
    with pytest.raises(InputError, match="not written, its logits differ"):
        export_onnx(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_one_line_and_come_before_any_work(model, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"needs onnx and onnxscript.*pip install 'atrous\[onnx\]'"):
        export_onnx(model, tmp_path / "model.onnx")


@with_onnx
def test_without_the_checker_the_report_says_that_nothing_was_checked(model, tmp_path: Path, monkeypatch) -> None:
    original = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == export.CHECKER else original(name))
    monkeypatch.setattr(export, "_converted", lambda _: b"content")
    made = export_onnx(model, tmp_path / "model.onnx")
    assert made.difference is None
    assert "not checked" in made.text


@with_onnx
def test_a_file_is_only_replaced_when_asked(model, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(export, "_converted", lambda _: b"new")
    monkeypatch.setattr(export, "_difference", lambda *_: 0.0)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    with pytest.raises(InputError, match="exists already"):
        export_onnx(model, path)
    assert path.read_bytes() == b"old"
    export_onnx(model, path, force=True)
    assert path.read_bytes() == b"new"
