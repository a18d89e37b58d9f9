"""The head of fully convolutional networks (Long et al. 2015), here the auxiliary one that trains a middle depth."""

from torch import nn

from shared.layers import dilated_conv


class FCNHead(nn.Sequential):
    """A 3×3 to a quarter of the channels, then a 1×1: ``[b, c, h, w] -> [b, k, h, w]``; keys are torchvision's.

    >>> import torch
    >>> FCNHead(64, 21).eval()(torch.zeros(1, 64, 9, 13)).shape
    torch.Size([1, 21, 9, 13])
    """

    last = "4"

    def __init__(self, in_channels: int, classes: int):
        channels = max(1, in_channels // 4)
        super().__init__(
            dilated_conv(2, in_channels, channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Dropout(0.1),
            dilated_conv(2, channels, classes, 1),
        )
