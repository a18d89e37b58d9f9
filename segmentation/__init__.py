"""DeepLab-style segmentation on dilated convolutions: own pictures and masks in, a model out, and masks from it.

``from segmentation import SegmentationModel``; torch is loaded when one of the names is first asked for.
"""

from importlib import import_module
from typing import Any

_ROOMS = {
    "model": ("ModelConfig", "Prediction", "SegmentationModel"),
    "heads.aspp": ("ASPPModule",),
    "lesson": ("DilatedSegNet", "create_segmentation_dataset", "train_segmentation"),
}
__all__ = [
    "ASPPModule",
    "DilatedSegNet",
    "ModelConfig",
    "Prediction",
    "SegmentationModel",
    "create_segmentation_dataset",
    "train_segmentation",
]


def __getattr__(name: str) -> Any:
    """Import on demand, so that ``segmentation --help`` need not wait for torch."""
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"segmentation.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
