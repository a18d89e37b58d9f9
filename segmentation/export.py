"""A model as an ONNX file, for programs without torch: pictures of any size and number in, logits out.

Before anything is written, the file is held against the model: the same pictures, two sizes, the same logits. What a
program needs to know besides, names and colours of classes and the normalisation, is in the file's metadata.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segmentation.data.shapes import draw
from segmentation.model import SegmentationModel
from shared.errors import InputError
from shared.files import write_file

TOLERANCE = 1e-5  # of the largest logit: what rounding in another order comes to
INPUT, OUTPUT = "images", "logits"
NEEDED, CHECKER = ("onnx", "onnxscript"), "onnxruntime"
INSTALL = "install them with: pip install 'atrous[onnx]'"


@dataclass(frozen=True)
class Export:
    """What was written. ``difference`` is the largest, as a share of the largest logit; None where not checked."""

    path: Path
    size: int
    difference: float | None

    @property
    def text(self) -> str:
        """One line for the user."""
        if self.difference is None:
            return f"{self.path}: {self.size / 1e6:.1f} MB, not checked, since {CHECKER} is not installed"
        return f"{self.path}: {self.size / 1e6:.1f} MB, logits differ from the model's by {self.difference:.1e} at most"


def export_onnx(
    model: SegmentationModel, path: Path | str, *, picture: np.ndarray | None = None, force: bool = False
) -> Export:
    """Write the model as ONNX: ``images`` float32 ``[b, 3, h, w]``, normalised, to ``logits`` ``[b, k, h, w]``.

    ``picture``, uint8 ``[h, w, 3]``, is what both are compared on; by default one of drawn shapes. Raises InputError
    where packages are missing, the file exists (unless ``force``), or the logits differ by more than ``TOLERANCE``.
    """
    path = Path(path)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"ONNX export needs {' and '.join(missing)}, not installed here; {INSTALL}")
    if path.exists() and not force:
        raise InputError(f"{path}: exists already; choose another name or pass --force")
    content = _converted(model)
    difference = None
    if importlib.util.find_spec(CHECKER) is not None:
        pixels = draw((120, 161), np.random.default_rng(0))[0] if picture is None else picture
        height, width = pixels.shape[:2]
        smaller = pixels[: max(1, height * 3 // 5), : max(1, width * 4 // 5)]
        difference = max(_difference(model, content, pixels), _difference(model, content, smaller))
        if not difference <= TOLERANCE:
            raise InputError(
                f"{path}: not written, its logits differ from the model's by {difference:.1e} of the largest;"
                " another version of onnx or onnxruntime may agree"
            )
    write_file(path, content)
    return Export(path, len(content), difference)


def _converted(model: SegmentationModel) -> bytes:
    images = torch.zeros(2, 3, 97, 130)  # odd, so that no size is taken for a constant
    axes = {0: "batch", 2: "height", 3: "width"}
    network = model.config.network.build(model.classes.count)  # on the CPU, and in evaluation, whatever the model's own
    network.load_state_dict(model.network.state_dict())
    with _silence():
        program = torch.onnx.export(
            network.eval(),
            (images,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=(axes,),
            verbose=False,
        )
    normalisation = model.config.normalisation
    program.model.metadata_props.update(
        {
            "classes": json.dumps(model.classes.names, ensure_ascii=False),
            "colours": json.dumps(model.classes.colours),
            "mean": json.dumps(normalisation.mean),
            "std": json.dumps(normalisation.std),
            "input": "RGB, (value / 255 - mean) / std",
        }
    )
    return program.model_proto.SerializeToString()


def _difference(model: SegmentationModel, content: bytes, pixels: np.ndarray) -> float:
    """Between both, at one picture and its mirror image."""
    import onnxruntime

    images = model.config.normalisation.tensor(pixels, pixels[:, ::-1])
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run([OUTPUT], {INPUT: images.contiguous().numpy()})
    expected = _logits(model, images)
    return float((torch.from_numpy(found) - expected).abs().max() / expected.abs().max())


def _logits(model: SegmentationModel, images: Tensor) -> Tensor:
    """Of the plain network, in evaluation."""
    training = model.network.training
    try:
        with torch.inference_mode():
            return model.network.eval()(images.to(model.device)).cpu()
    finally:
        model.network.train(training)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The exporter speaks to its developers: on stdout, in warnings, in the log."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
