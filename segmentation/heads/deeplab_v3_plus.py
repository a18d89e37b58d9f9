"""The decoder that brings back edges: ASPP upsampled to stride 4, beside shallow features (Chen et al. 2018, V3+)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segmentation.backbones import Features
from segmentation.heads.aspp import ASPPModule, normed
from shared.layers import dilated_conv

LOW_LEVEL_CHANNELS = 48
"""The paper's: few enough that shallow features do not outweigh the pyramid's."""


class DeepLabV3PlusHead(nn.Module):
    """ASPP, joined with low-level features after a 1×1, then two 3×3: ``Features -> logits`` at the low stride.

    The dropout after the pyramid is 0.1, as in the authors' code; V3's half is torchvision's.

    >>> head = DeepLabV3PlusHead(Features(8, 16, 32), 11, rates=(6, 12, 18), channels=8).eval()
    >>> head(Features(torch.zeros(1, 8, 33, 49), None, torch.zeros(1, 32, 9, 13))).shape
    torch.Size([1, 11, 33, 49])
    """

    last = "classify"
    field = None
    """Features of two strides meet; through image pooling one logit sees the whole picture."""

    def __init__(self, channels_in: Features[int], classes: int, rates: Sequence[int], channels: int = 256):
        super().__init__()
        self.aspp = ASPPModule(channels_in.high, channels, rates, dropout=0.1)
        self.low_level = normed(nn.Conv2d(channels_in.low, LOW_LEVEL_CHANNELS, 1, bias=False))
        self.decoder = nn.Sequential(
            *normed(dilated_conv(2, channels + LOW_LEVEL_CHANNELS, channels, bias=False)),
            *normed(dilated_conv(2, channels, channels, bias=False)),
        )
        self.classify = nn.Conv2d(channels, classes, 1)

    def forward(self, features: Features[Tensor]) -> Tensor:
        """``low [b, c, h', w']`` and ``high [b, c, h'', w''] -> logits [b, k, h', w']``."""
        low = self.low_level(features.low)
        high = F.interpolate(self.aspp(features.high), size=low.shape[-2:], mode="bilinear", align_corners=False)
        return self.classify(self.decoder(torch.cat([high, low], dim=1)))
