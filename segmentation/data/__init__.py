"""Where pictures and masks come from: the union of sources is registry, config type and JSON tag.

A source is a frozen dataclass with ``load(validation, progress) -> Samples``.
"""

from segmentation.data.samples import Sample, Samples
from segmentation.data.shapes import Shapes
from segmentation.data.sources import PairList, PictureFolder, VOCLayout

Source = PictureFolder | PairList | VOCLayout | Shapes

__all__ = ["PairList", "PictureFolder", "Sample", "Samples", "Shapes", "Source", "VOCLayout"]
