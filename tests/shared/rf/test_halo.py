"""Tiles with the halo, and streams with the history, give bit by bit what the whole gives; one less does not."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segmentation.networks import PoolFree
from shared.layers import DilatedConvNet
from shared.rf.reach import of
from shared.schedules import exponential


class UNet(nn.Module):
    """Two poolings, two transposed convolutions, skips; small."""

    def __init__(self, width: int = 4):
        super().__init__()
        self.first, self.second, self.third = twice(1, width), twice(width, width), twice(width, width)
        self.up2, self.up1 = (nn.ConvTranspose2d(width, width, 2, 2) for _ in range(2))
        self.fourth, self.fifth = twice(2 * width, width), twice(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        second = self.second(F.max_pool2d(first, 2))
        third = self.third(F.max_pool2d(second, 2))
        second = self.fourth(torch.cat([self.up2(third), second], dim=1))
        return self.fifth(torch.cat([self.up1(second), first], dim=1))


def twice(narrow: int, wide: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(narrow, wide, 3, padding=1), nn.ReLU(), nn.Conv2d(wide, wide, 3, padding=1), nn.ReLU()
    )


def open_paths(model: nn.Module) -> nn.Module:
    """No weight below zero: no ReLU is shut, so that every input is felt."""
    for parameter in model.parameters():
        parameter.data.abs_()
    return model.double().eval()


def largest_difference(model: nn.Module, x: Tensor, core: slice, halo: int) -> float:
    """Between the whole and one tile: rows ``core`` of the picture with ``halo`` more on both sides."""
    with torch.no_grad():
        whole = model(x)[:, :, core]
        first = max(core.start - halo, 0)
        tile = model(x[:, :, first : core.stop + halo])[:, :, core.start - first :][:, :, : core.stop - core.start]
    return float((whole - tile).abs().max())


def test_a_unet_reads_44_but_its_halo_is_23() -> None:
    reach = of(UNet(), (1, 64, 64))
    assert {reach.at((32 + at, 32)).size for at in range(4)} == {(44, 44)}
    boxes = [reach.at((at, at)).box[0] for at in range(28, 38)]
    assert boxes == [(6, 49)] * 2 + [(10, 53)] * 4 + [(14, 57)] * 4
    assert reach.halo() == (23, 23)
    assert reach.halo(align=8) == (24, 24)


@pytest.mark.parametrize("core", [slice(32, 48), slice(48, 52)])
def test_tiles_of_a_unet_with_its_halo_equal_the_whole(core: slice) -> None:
    model = open_paths(UNet())
    x = torch.randn(1, 1, 96, 96, dtype=torch.float64)
    (halo, _), (aligned, _) = of(model, (1, 96, 96)).halo(), of(model, (1, 96, 96)).halo(align=4)
    assert largest_difference(model, x, core, aligned) == 0.0
    assert largest_difference(model, x, core, aligned - 4) > 0.0
    assert aligned - 4 < halo <= aligned


def test_nothing_beyond_the_halo_of_a_unet_is_felt_and_its_last_row_is() -> None:
    model = open_paths(UNet())
    x = torch.randn(1, 1, 96, 96, dtype=torch.float64)
    (halo, _) = of(model, (1, 96, 96)).halo()
    with torch.no_grad():
        whole = model(x)[:, :, 49:51]  # the end of one cell of four rows, and the beginning of the next
        for margin, same in ((halo, True), (halo - 1, False)):
            near = torch.full_like(x, 7.0)
            near[:, :, 49 - margin : 51 + margin] = x[:, :, 49 - margin : 51 + margin]
            assert torch.equal(model(near)[:, :, 49:51], whole) is same


def test_tiles_of_the_pool_free_network_with_its_halo_equal_the_whole_and_with_one_less_do_not() -> None:
    model = open_paths(PoolFree(stem_stride=1, width=4, image_pooling=False).build(3))
    (halo, _) = of(model, (3, 128, 16)).halo()
    assert halo == model.halo == 36
    x = torch.rand(1, 3, 128, 16, dtype=torch.float64)
    assert largest_difference(model, x, slice(50, 70), halo) == 0.0
    assert largest_difference(model, x, slice(50, 70), halo - 1) > 0.0


def test_a_stream_with_its_history_equals_the_whole_and_with_one_sample_less_does_not() -> None:
    model = DilatedConvNet(1, 1, exponential(8), kernel_size=2, causal=True, dimensions=1, channels=4).double()
    for parameter in model.parameters():
        nn.init.ones_(parameter)  # whole numbers: sums are exact in any order
    reach = of(model, (1, 600))
    assert (reach.history, reach.lookahead) == ((255,), (0,))
    x = torch.randint(1, 5, (1, 1, 600)).double()
    with torch.no_grad():
        whole = model(x)[..., 400:440]
        for history, same in ((255, True), (254, False)):
            assert torch.equal(model(x[..., 400 - history : 440])[..., history:], whole) is same


def test_a_centred_stream_waits_for_its_lookahead() -> None:
    reach = of(DilatedConvNet(1, 1, (1, 2, 4), dimensions=1), (1, 64))
    assert (reach.history, reach.lookahead) == ((7,), (7,))


def test_a_strided_causal_stream_waits_for_nothing_beyond_its_own_cell() -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(1, 1, 8, stride=4)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(F.pad(x, (4, 0)))

    reach = of(Encoder(), (1, 64))
    assert (reach.history, reach.lookahead, reach.axes[0].jump) == ((4,), (0,), 4)
