"""Segmentation networks by configuration: a frozen dataclass names a network, ``build(classes)`` makes it.

Every network is a ``Segmenter``: a backbone, a head, perhaps an auxiliary head for training. It takes pictures of any
size and answers at that size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from segmentation.backbones.resnet import DEPTHS, OUTPUT_STRIDES, ResNet
from segmentation.backbones.stack import STEM_STRIDES, DilatedStack
from segmentation.heads.deeplab_v3 import DeepLabV3Head, DilatedSegNetHead
from segmentation.heads.deeplab_v3_plus import DeepLabV3PlusHead
from segmentation.heads.fcn import FCNHead
from segmentation.palette import MOST_CLASSES
from shared.rf import Field
from shared.schedules import exponential

MOST_CHANNELS, MOST_RATES, LARGEST_RATE = 2048, 16, 1024  # a config must not exhaust memory


class Segmenter(nn.Module):
    """A backbone and its heads, at the size of the picture.

    Geometry is declared along one axis: ``field`` is what a cell of the deepest features sees in pixels,
    ``branches`` what each branch of the pyramid sees.

    >>> import torch
    >>> model = DeepLabV3(depth=18, width=8, channels=8).build(classes=3).eval()
    >>> model(torch.zeros(1, 3, 65, 97)).shape
    torch.Size([1, 3, 65, 97])
    >>> model.last_layers
    ('classifier.4.weight', 'classifier.4.bias')
    """

    def __init__(self, backbone: nn.Module, classifier: nn.Module, aux_classifier: nn.Module | None = None):
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.aux_classifier = aux_classifier
        self.classes: int = classifier.get_submodule(classifier.last).out_channels
        layers = [f"classifier.{classifier.last}"]
        if aux_classifier is not None:
            layers.append(f"aux_classifier.{aux_classifier.last}")
        self.last_layers: tuple[str, ...] = tuple(
            f"{layer}.{entry}" for layer in layers for entry in ("weight", "bias")
        )
        """The entries of the state dict whose shape depends on the number of classes."""

    @property
    def field(self) -> Field:
        """What one cell of the deepest features sees, in pixels; its ``jump`` is the output stride."""
        return self.backbone.fields.high

    @property
    def branches(self) -> tuple[Field, ...]:
        """What each branch of the pyramid sees, in pixels: the 1×1 first, then the rates.

        The pooled branch, which sees the whole picture, is not among them.

        >>> [field.size for field in DeepLabV3(depth=50, output_stride=8).build(21).branches]
        [427, 619, 811, 1003]
        """
        return tuple(self.field >> branch for branch in self.classifier.aspp.fields)

    @cached_property
    def halo(self) -> int | None:
        """How many pixels around its own one logit can depend on, or None: with image pooling it is all of them.

        A tile with this margin answers inside as the whole picture does, if it begins at a multiple of
        ``field.jump`` and all sizes are multiples too. At stride 1 it is the smallest such margin; above it there
        are three cells to spare for interpolation, which is enough and may be more than enough.
        """
        head = self.classifier.field
        if head is None or head.is_global:
            return None
        field = self.field >> head
        interpolation = 3 * field.jump if field.jump > 1 else 0
        return max(field.history, field.lookahead) + interpolation

    def forward(self, images: Tensor) -> Tensor:
        """Logits for normalised pictures: ``images [b, 3, h, w] -> [b, k, h, w]``, any h and w."""
        return self._enlarged(self.classifier(self.backbone(images)), images)

    def with_auxiliary(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """As ``forward``, with the auxiliary head's logits ``[b, k, h, w]`` beside them, or None without one."""
        features = self.backbone(images)
        logits = self._enlarged(self.classifier(features), images)
        if self.aux_classifier is None:
            return logits, None
        return logits, self._enlarged(self.aux_classifier(features.middle), images)

    def _enlarged(self, logits: Tensor, images: Tensor) -> Tensor:
        # decided by the network, not by the sizes met, so that a traced graph holds for every size
        if self.field.jump == 1:
            return logits
        return F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)


@dataclass(frozen=True, kw_only=True)
class _OnResNet:
    """What DeepLabV3 and DeepLabV3+ have in common."""

    tagged = True

    depth: Literal[18, 34, 50, 101] = 50
    """Layers of the ResNet."""
    output_stride: Literal[8, 16, 32] = 8
    """Pixels from one cell of the deepest features to the next; half of it costs about three times as much."""
    rates: tuple[int, ...] = ()
    """Dilations of the pyramid, in cells. Empty is the paper's by stride: 12, 24, 36 at 8, half of it at 16."""
    auxiliary: bool = False
    """Whether a second head on the third stage is there for training; it costs nothing afterwards."""
    width: int = 64
    """Channels of the first stage; later ones have 2, 4, 8 times as many, and 4 times that from 50 layers on."""
    channels: int = 256
    """Channels of the head."""

    def __post_init__(self):
        _check_choice("depth", self.depth, DEPTHS)
        _check_choice("output_stride", self.output_stride, OUTPUT_STRIDES)
        _check_rates("rates", self.rates, at_least=0)
        _check_range("width", self.width, MOST_CHANNELS // 8)
        _check_range("channels", self.channels, MOST_CHANNELS)

    @property
    def rates_in_use(self) -> tuple[int, ...]:
        """The pyramid's dilations.

        >>> DeepLabV3(output_stride=16).rates_in_use
        (6, 12, 18)
        """
        return self.rates or tuple(each * 96 // self.output_stride for each in (1, 2, 3))

    def _assemble(self, head: type[DeepLabV3Head | DeepLabV3PlusHead], classes: int) -> Segmenter:
        _check_classes(classes)
        backbone = ResNet(self.depth, self.output_stride, self.width)
        # the auxiliary head comes first, as in torchvision: one seed then draws the same weights
        aux_classifier = FCNHead(backbone.channels.middle, classes) if self.auxiliary else None
        classifier = head(backbone.channels, classes, self.rates_in_use, self.channels)
        return Segmenter(backbone, classifier, aux_classifier)


@dataclass(frozen=True, kw_only=True)
class DeepLabV3(_OnResNet):
    """DeepLabV3 (Chen et al. 2017, arXiv:1706.05587) on a dilated ResNet.

    With 50 or 101 layers and all else untouched it is torchvision's, key for key.
    """

    def build(self, classes: int) -> Segmenter:
        """The network with fresh random weights.

        >>> sum(each.numel() for each in DeepLabV3(depth=50, auxiliary=True).build(classes=21).parameters())
        42004074
        """
        return self._assemble(DeepLabV3Head, classes)


@dataclass(frozen=True, kw_only=True)
class DeepLabV3Plus(_OnResNet):
    """DeepLabV3+ (Chen et al. 2018, arXiv:1802.02611) on a dilated ResNet, with the paper's decoder."""

    output_stride: Literal[8, 16, 32] = 16
    """Pixels from one cell of the deepest features to the next; the decoder works at 4."""

    def build(self, classes: int) -> Segmenter:
        """The network with fresh random weights."""
        return self._assemble(DeepLabV3PlusHead, classes)


@dataclass(frozen=True, kw_only=True)
class PoolFree:
    """The lesson's network: a stack of dilated convolutions without pooling, ASPP, a decoder of two 3×3."""

    tagged = True

    stem_stride: Literal[1, 2, 4] = 2
    """Pixels a cell. 1 is the lesson's, and as dear as a ResNet-50 at output stride 8; 2 costs a quarter of that."""
    dilations: tuple[int, ...] = exponential(4)
    """Dilations of the stack after its first layer."""
    rates: tuple[int, ...] = (6, 12, 18)
    """Dilations of the pyramid, in cells."""
    width: int = 64
    """Channels of the first layer; the stack ends with four times as many."""
    image_pooling: bool = True
    """Whether the pyramid has its branch of the whole picture. Without it the network has a finite ``halo``."""

    def __post_init__(self):
        _check_choice("stem_stride", self.stem_stride, STEM_STRIDES)
        _check_rates("dilations", self.dilations, at_least=2)
        _check_rates("rates", self.rates, at_least=1)
        _check_range("width", self.width, MOST_CHANNELS // 4)

    def build(self, classes: int) -> Segmenter:
        """The network with fresh random weights.

        >>> sum(each.numel() for each in PoolFree(stem_stride=1).build(classes=3).parameters())
        3268099
        """
        _check_classes(classes)
        backbone = DilatedStack(self.stem_stride, self.dilations, self.width)
        head = DilatedSegNetHead(backbone.channels, classes, self.rates, image_pooling=self.image_pooling)
        return Segmenter(backbone, head)


Network = DeepLabV3 | DeepLabV3Plus | PoolFree


def _check_classes(classes: int) -> None:
    if not 2 <= classes <= MOST_CLASSES:
        raise ValueError(f"classes must lie between 2 and {MOST_CLASSES}, not {classes}; a background counts as one")


def _check_choice(name: str, value: int, choices: Iterable[int]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value}; it can be {', '.join(map(str, choices))}")


def _check_range(name: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise ValueError(f"{name} must lie between 1 and {most}, not {value}")


def _check_rates(name: str, rates: tuple[int, ...], at_least: int) -> None:
    if not at_least <= len(rates) <= MOST_RATES or not all(1 <= rate <= LARGEST_RATE for rate in rates):
        raise ValueError(
            f"{name} must be {at_least} to {MOST_RATES} numbers from 1 to {LARGEST_RATE}, not {list(rates)}"
        )


PRESETS: dict[str, Network] = {
    "fast": DeepLabV3Plus(depth=18, width=32, channels=96),
    "dilated": PoolFree(),
    **{f"deeplabv3_r{depth}": DeepLabV3(depth=depth) for depth in DEPTHS},
    **{f"deeplabv3plus_r{depth}": DeepLabV3Plus(depth=depth) for depth in DEPTHS},
}
"""Networks by name."""
