"""Each kind of operation reads exactly what its positive gradient says, at every unit, channel by channel."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.rf.boxes import EMPTY, Indices, merged, split, united
from shared.rf.judge import connections
from shared.rf.reach import of


class Apply(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def agrees(model: nn.Module, shape: tuple[int, ...]) -> None:
    reach = of(model.eval(), shape)
    assert reach.unknown == ()
    result = reach.network.output.shape[1:]
    count = result.numel() if isinstance(result, torch.Size) else torch.Size(result).numel()
    wanted = connections(model, shape, torch.eye(count).view(count, *result), lambda y: y)
    for unit, expected in zip(product(*map(range, result)), wanted, strict=True):
        assert torch.equal(reach.unit(unit), expected), unit


ONE, TWO, THREE = (2, 9), (2, 6, 7), (1, 4, 5, 4)
PIECES = {
    "grouped convolution": (nn.Conv1d(4, 6, 3, dilation=2, padding=1, groups=2), (4, 9)),
    "depthwise convolution of even kernel": (nn.Conv2d(2, 4, (2, 3), stride=(1, 2), groups=2), TWO),
    "convolution of volumes": (nn.Conv3d(1, 2, (1, 3, 2), dilation=(1, 1, 2)), THREE),
    "padding same": (nn.Conv1d(2, 1, 3, padding="same", dilation=2), ONE),
    "transposed convolution": (nn.ConvTranspose1d(2, 2, 4, stride=3, padding=1, output_padding=2, dilation=2), ONE),
    "grouped transposed convolution": (nn.ConvTranspose2d(2, 2, 3, stride=2, groups=2), (2, 3, 4)),
    "maximum of dilated windows": (nn.MaxPool2d(2, stride=1, dilation=2, padding=1), TWO),
    "pooling with a ragged end": (nn.AvgPool1d(3, stride=2, padding=1, ceil_mode=True), (2, 10)),
    "adaptive pooling": (nn.AdaptiveAvgPool2d((4, 3)), TWO),
    "adaptive maximum": (nn.AdaptiveMaxPool1d(4), ONE),
    "adaptive pooling of volumes": (nn.AdaptiveAvgPool3d((2, 3, 1)), THREE),
    "nearest neighbour": (nn.Upsample(size=14), ONE),
    "nearest exact": (nn.Upsample(size=5, mode="nearest-exact"), ONE),
    "linear": (nn.Upsample(size=13, mode="linear"), ONE),
    "linear, corners aligned": (nn.Upsample(size=17, mode="linear", align_corners=True), ONE),
    "bilinear by a factor": (nn.Upsample(scale_factor=1.5, mode="bilinear"), TWO),
    "bicubic": (nn.Upsample(scale_factor=2, mode="bicubic"), TWO),
    "bicubic, corners aligned": (nn.Upsample(size=(11, 4), mode="bicubic", align_corners=True), TWO),
    "trilinear": (nn.Upsample(scale_factor=2, mode="trilinear"), (1, 2, 3, 2)),
    "smoothed bilinear": (Apply(lambda x: F.interpolate(x, size=(3, 4), mode="bilinear", antialias=True)), TWO),
    "smoothed bicubic": (Apply(lambda x: F.interpolate(x, size=(3, 4), mode="bicubic", antialias=True)), TWO),
    "zero padding and cropping": (nn.ConstantPad1d((3, -2), 0.0), ONE),
    "reflection": (nn.ReflectionPad2d((2, 1, 3, 0)), TWO),
    "replication": (nn.ReplicationPad1d((4, 2)), ONE),
    "circular": (nn.Conv2d(2, 2, 3, padding=2, dilation=2, padding_mode="circular"), TWO),
    "unfold": (nn.Unfold((2, 3), stride=2, padding=1, dilation=1), TWO),
    "fold": (nn.Sequential(nn.Unfold(3, stride=2, padding=1), nn.Fold((6, 7), 3, stride=2, padding=1)), TWO),
    "pixel shuffle and back": (nn.Sequential(nn.PixelShuffle(2), nn.Conv2d(1, 1, 2), nn.PixelUnshuffle(1)), (4, 3, 4)),
    "pixel unshuffle": (nn.PixelUnshuffle(2), (1, 4, 6)),
    "channel shuffle": (nn.ChannelShuffle(2), (4, 2, 3)),
    "batch norm": (nn.BatchNorm2d(2), TWO),
    "group norm": (nn.GroupNorm(2, 4), (4, 5)),
    "layer norm of channels": (Apply(lambda x: F.layer_norm(x.mT, (2,)).mT), ONE),
    "layer norm of pictures": (nn.LayerNorm((6, 7)), TWO),
    "instance norm": (nn.InstanceNorm1d(2), ONE),
    "softmax over time": (nn.Softmax(2), ONE),
    "linear layer over time": (nn.Linear(9, 4), ONE),
    "linear layer after flattening": (nn.Sequential(nn.Flatten(), nn.Linear(18, 3)), ONE),
    "gated linear unit": (nn.GLU(1), (4, 5)),
    "sum so far": (Apply(lambda x: x.cumsum(2)), ONE),
    "attention": (Apply(lambda x: F.scaled_dot_product_attention(x, x, x)), (2, 4, 3)),
    "causal attention": (Apply(lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True)), (2, 5, 3)),
    "product of matrices": (Apply(lambda x: x @ x.mT), (2, 3, 4)),
    "cat, flip, roll, slice": (
        Apply(lambda x: torch.cat([x.flip(2)[..., 1::2], x.roll(3, 2), x[..., -2:]], dim=2)), ONE,
    ),
    "look-up": (Apply(lambda x: x[:, :, [8, 0, 3, 3]]), ONE),
    "look-up by a computed table": (Apply(lambda x: x[..., torch.arange(4, device=x.device) * 2 + 1]), ONE),
    "windows by unfolding": (Apply(lambda x: x.unfold(2, 3, 2).flatten(1, 2)), ONE),
    "stack and unbind": (Apply(lambda x: torch.stack(x.unbind(1)[::-1], dim=2)), ONE),
    "writing into a view of a view": (Apply(lambda x: shifted(x)), ONE),
    "squeeze, expand, repeat": (
        Apply(lambda x: x.unsqueeze(1).expand(-1, 2, -1, -1).squeeze().repeat(1, 1, 1, 2)), ONE,
    ),
}  # fmt: skip


def shifted(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    turned = y.transpose(1, 2)
    turned[:, 2:].copy_(x.mT[:, :-2])
    y.view(y.shape[0], -1)[:, :3] += x[:, 1, :3]
    return turned.mT * 1


@pytest.mark.parametrize("name", PIECES)
def test_an_operation_reads_what_its_gradient_says(name: str) -> None:
    agrees(*PIECES[name])


def test_an_operation_without_a_rule_is_taken_to_read_everything_and_is_named() -> None:
    class Warp(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            grid = F.affine_grid(torch.eye(2, 3, device=x.device).expand(len(x), 2, 3), list(x.shape), False)
            return F.grid_sample(x, grid, align_corners=False)

    reach = of(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), Warp()), (1, 5, 6))
    assert reach.unknown == ("grid_sampler_2d in 1",)
    assert reach.mask.all()
    assert reach.global_via == ("1",)
    assert "no rule for grid_sampler_2d in 1" in str(reach)


def test_what_is_recorded_does_not_depend_on_inference_mode() -> None:
    class Frozen(nn.Conv1d):
        @torch.inference_mode()
        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(super().forward(x), scale_factor=2, mode="linear")

    assert of(Frozen(1, 1, 3), (1, 9)).size == (4,)


def test_sets_of_positions_are_sets() -> None:
    draw = torch.Generator().manual_seed(1)
    for _ in range(300):
        a, b = ({int(i) for i in torch.randint(-20, 20, (8,), generator=draw)} for _ in range(2))
        by = int(torch.randint(1, 5, (1,), generator=draw))
        left, right = Indices.of(a), Indices.of(b)
        assert set(left | right) == a | b
        assert set(left & right) == a & b
        assert set(left - right) == a - b
        assert (left <= right) == (a <= b)
        assert set(left.plus(right)) == {i + j for i in a for j in b}
        assert set(left.scaled(by)) == {i * by for i in a}
        assert set(left.divided(by)) == {i // by for i in a if i % by == 0}
        assert set(left.mirrored()) == {-i for i in a}
        assert set(left.within(7)) == {i for i in a if 0 <= i < 7}
    assert Indices.of([]) == EMPTY == Indices.of([3]) - Indices.of([3])


def test_joining_boxes_keeps_their_union() -> None:
    draw = torch.Generator().manual_seed(2)
    for _ in range(100):
        boxes = [
            tuple(Indices.of(torch.randint(0, 4, (2,), generator=draw).tolist()) for _ in range(3)) for _ in range(6)
        ]
        fewer = united(boxes)
        assert {point for box in fewer for point in product(*box)} == {
            point for box in boxes for point in product(*box)
        }
        assert len(fewer) <= len(boxes)


def test_numbers_split_into_positions_and_merge_back() -> None:
    draw = torch.Generator().manual_seed(3)
    for _ in range(100):
        numbers = Indices.of(torch.randint(0, 60, (9,), generator=draw).tolist())
        boxes = list(split(numbers, (3, 4, 5)))
        again = EMPTY
        for box in boxes:
            again = again | merged(box, (3, 4, 5))
        assert again == numbers
