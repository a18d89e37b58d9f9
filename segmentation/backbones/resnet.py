"""Residual networks (He et al. 2015) that trade strides for dilation: 18, 34, 50 or 101 layers.

The dilated network is the strided one evaluated at every shift (the à-trous identity): a convolution reads cells as
far apart as the strides before it would have put them. So the convolution that lost a stride keeps the dilation so
far, and only what follows it takes the new one. Keys and wiring are torchvision's, the stride on the 3×3 included,
so that its published weights mean here what they mean there.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from segmentation.backbones import Features, field_of
from shared.rf import through

OUTPUT_STRIDES = (8, 16, 32)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut: ``[b, c, h, w] -> [b, width, h/stride, w/stride]``.

    The first reads at ``before``, the dilation so far, the second at ``dilation``.
    """

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int, before: int, dilation: int):
        super().__init__()
        self.conv1 = _conv(in_channels, width, 3, stride, before)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, 1, dilation)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(in_channels, width, stride)
        self.field = through(field_of(self.conv1), field_of(self.conv2))

    def forward(self, x: Tensor) -> Tensor:
        """ReLU of the sum of both ways."""
        residual = F.relu(self.bn1(self.conv1(x)), inplace=True)
        residual = self.bn2(self.conv2(residual))
        return F.relu(residual.add_(self.downsample(x) if self.downsample else x), inplace=True)


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 beside a shortcut: ``[b, c, h, w] -> [b, 4·width, h/stride, w/stride]``.

    The 3×3 carries the stride and reads at ``before``: what ``dilation`` would change begins after it.
    """

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int, before: int, dilation: int):  # noqa: ARG002
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = _conv(in_channels, width, 1, 1, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride, before)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, out_channels, 1, 1, 1)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = _shortcut(in_channels, out_channels, stride)
        self.field = field_of(self.conv2)

    def forward(self, x: Tensor) -> Tensor:
        """ReLU of the sum of both ways."""
        residual = F.relu(self.bn1(self.conv1(x)), inplace=True)
        residual = F.relu(self.bn2(self.conv2(residual)), inplace=True)
        residual = self.bn3(self.conv3(residual))
        return F.relu(residual.add_(self.downsample(x) if self.downsample else x), inplace=True)


DEPTHS: dict[int, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
}
"""Block and number of blocks a stage, by number of layers."""


class ResNet(nn.Module):
    """A ResNet without its classifier: ``images [b, 3, h, w] -> Features``.

    ``low`` comes from the first stage at stride 4, ``middle`` and ``high`` from the last two. A stage that would
    pass ``output_stride`` 8, 16 or 32 doubles the dilation instead. ``width`` is the first stage's; each later
    stage has twice as much.

    >>> import torch
    >>> features = ResNet(18, output_stride=8, width=8)(torch.zeros(1, 3, 65, 97))
    >>> [tuple(each.shape[1:]) for each in features]
    [(8, 17, 25), (32, 9, 13), (64, 9, 13)]
    """

    def __init__(self, depth: int = 50, output_stride: int = 8, width: int = 64):
        super().__init__()
        block, counts = DEPTHS[depth]
        if output_stride not in OUTPUT_STRIDES:
            raise ValueError(f"output_stride is {output_stride}; it can be {', '.join(map(str, OUTPUT_STRIDES))}")
        self.conv1 = _conv(3, width, 7, 2, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels, stride_so_far, dilation, stages = width, 4, 1, []
        for stage, blocks in enumerate(counts):
            before, stride = dilation, 1 if stage == 0 else 2
            if stride_so_far * stride > output_stride:
                dilation, stride = dilation * stride, 1
            stride_so_far *= stride
            stages.append(nn.Sequential())
            for at in range(blocks):
                first = (stride, before) if at == 0 else (1, dilation)
                stages[-1].append(block(channels, width << stage, *first, dilation))
                channels = (width << stage) * block.expansion
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        # torchvision builds its classifier here: drawing the same numbers makes one seed give the same weights
        nn.Linear(channels, 1000)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

        self.channels = Features(*((width << stage) * block.expansion for stage in (0, 2, 3)))
        field, fields = through(field_of(self.conv1), field_of(self.maxpool)), []
        for stage in stages:
            field = through(field, *(each.field for each in stage))
            fields.append(field)
        self.fields = Features(fields[0], fields[2], fields[3])

    def forward(self, images: Tensor) -> Features[Tensor]:
        """Stem, then four stages."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(images)), inplace=True))
        low = self.layer1(x)
        middle = self.layer3(self.layer2(low))
        return Features(low, middle, self.layer4(middle))


def _conv(in_channels: int, out_channels: int, kernel_size: int, stride: int, dilation: int) -> nn.Conv2d:
    """Centred, without a bias: a batch norm follows."""
    padding = kernel_size // 2 * dilation
    return nn.Conv2d(
        in_channels, out_channels, kernel_size, stride=stride, padding=padding, dilation=dilation, bias=False
    )


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(_conv(in_channels, out_channels, 1, stride, 1), nn.BatchNorm2d(out_channels))
