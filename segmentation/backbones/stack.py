"""The lesson's way to see far: no pooling at all, only dilations that double (Yu and Koltun 2015).

At full resolution one layer of 64 channels costs 6.4 GMAC on a 480×360 picture, and the whole network as much as a
ResNet-50 at output stride 8. A strided first layer buys 4 or 16 times of that back.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from segmentation.backbones import Features, field_of
from shared.layers import dilated_conv
from shared.rf import through
from shared.schedules import exponential

STEM_STRIDES = (1, 2, 4)


class DilatedStack(nn.Module):
    """A first convolution, then one a dilation, each with batch norm and ReLU: ``[b, 3, h, w] -> Features``.

    ``stem_stride`` 1 keeps every pixel; 2 and 4 widen the first kernel to ``2·stem_stride + 1``, so that no pixel
    goes unseen. Channels: ``width``, twice that in between, four times that at the end.

    >>> DilatedStack().fields.high
    <33 [-16..+16], jump 1, gap-free>
    """

    def __init__(self, stem_stride: int = 1, dilations: Sequence[int] = exponential(4), width: int = 64):
        super().__init__()
        if stem_stride not in STEM_STRIDES:
            raise ValueError(f"stem_stride is {stem_stride}; it can be {', '.join(map(str, STEM_STRIDES))}")
        if len(dilations) < 2:
            raise ValueError(f"a stack has two dilations or more, not {list(dilations)}")
        widths = [width, *[2 * width] * (len(dilations) - 1), 4 * width]
        stem = nn.Conv2d(3, width, 2 * stem_stride + 1, stride=stem_stride, padding=stem_stride)
        self.stem = _normed(stem)
        self.layers = nn.Sequential(
            *(
                _normed(dilated_conv(2, narrow, wide, dilation=dilation))
                for narrow, wide, dilation in zip(widths[:-1], widths[1:], dilations, strict=True)
            )
        )
        self.channels = Features(width, 2 * width, 4 * width)
        low = field_of(stem)
        middle = through(low, *(layer[0].field for layer in self.layers[:-1]))
        self.fields = Features(low, middle, middle.then(self.layers[-1][0].field))

    def forward(self, images: Tensor) -> Features[Tensor]:
        """After the stem, before the last layer, after it."""
        low = self.stem(images)
        middle = self.layers[:-1](low)
        return Features(low, middle, self.layers[-1](middle))


def _normed(conv: nn.Conv2d) -> nn.Sequential:
    # The lesson's convolutions have a bias although the norm undoes it; its 3,268,099 parameters count them.
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU(inplace=True))
