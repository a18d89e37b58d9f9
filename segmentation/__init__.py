"""DeepLab-style segmentation on dilated convolutions: own pictures and masks in, a model out, and masks from it.

``from segmentation import SegmentationModel``; torch is loaded when one of the names is first asked for.
"""

from typing import Any

__all__ = ["ModelConfig", "Prediction", "SegmentationModel"]


def __getattr__(name: str) -> Any:
    """Import on demand, so that ``segmentation --help`` need not wait for torch."""
    if name in __all__:
        from segmentation import model

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
