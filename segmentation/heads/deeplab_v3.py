"""Heads that look at the deepest features alone: ASPP, plain 3×3 convolutions, a 1×1 to the classes."""

from collections.abc import Sequence

from torch import Tensor, nn

from segmentation.backbones import Features
from segmentation.heads.aspp import ASPPModule
from shared.layers import dilated_conv
from shared.rf import Field, through


class _PyramidHead(nn.Sequential):
    """ASPP first, a 1×1 to the classes last."""

    @property
    def aspp(self) -> ASPPModule:
        """The pyramid."""
        return self[0]

    @property
    def last(self) -> str:
        """The layer to the classes."""
        return str(len(self) - 1)

    @property
    def field(self) -> Field:
        """What one logit sees, in cells."""
        return through(self.aspp.field, *(layer.field for layer in self if isinstance(layer, nn.Conv2d)))

    def forward(self, features: Features[Tensor]) -> Tensor:
        """``high [b, c, h', w'] -> logits [b, k, h', w']``."""
        return super().forward(features.high)


class DeepLabV3Head(_PyramidHead):
    """The head of DeepLabV3 (Chen et al. 2017), under torchvision's keys.

    >>> import torch
    >>> head = DeepLabV3Head(Features(8, 16, 32), 21, rates=(12, 24, 36), channels=8).eval()
    >>> head(Features(None, None, torch.zeros(1, 32, 9, 13))).shape
    torch.Size([1, 21, 9, 13])
    """

    def __init__(self, channels_in: Features[int], classes: int, rates: Sequence[int], channels: int = 256):
        super().__init__(
            ASPPModule(channels_in.high, channels, rates),
            dilated_conv(2, channels, channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            dilated_conv(2, channels, classes, 1),
        )


class DilatedSegNetHead(_PyramidHead):
    """The lesson's decoder: ASPP as wide as its input, then half of that, then a quarter."""

    def __init__(self, channels_in: Features[int], classes: int, rates: Sequence[int], image_pooling: bool = True):
        wide = channels_in.high
        super().__init__(
            ASPPModule(wide, wide, rates, image_pooling=image_pooling),
            dilated_conv(2, wide, wide // 2),
            nn.BatchNorm2d(wide // 2),
            nn.ReLU(inplace=True),
            dilated_conv(2, wide // 2, wide // 4),
            nn.BatchNorm2d(wide // 4),
            nn.ReLU(inplace=True),
            dilated_conv(2, wide // 4, classes, 1),
        )
