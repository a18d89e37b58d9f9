"""``segmentation export``: a model as ONNX."""

from __future__ import annotations

from argparse import Namespace

from segmentation.export import export_onnx
from segmentation.model import SegmentationModel


def run(arguments: Namespace) -> int:
    """Write an ONNX file."""
    model = SegmentationModel.from_pretrained(arguments.model)
    print(export_onnx(model, arguments.out, force=arguments.force).text)
    return 0
