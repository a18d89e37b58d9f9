"""Part 4 of the tour: how fast the fields of plain, strided, pooled and dilated stacks grow, and what that costs."""

# %% [markdown]
# # 4. Growth, and its price
#
# Now the comparison every lesson makes: ten 3×3 convolutions, and ways to see far with them. The arithmetic is the same
# for all. Going through the layers, keep the *jump* `j`, the distance in pixels of two neighbouring cells, and the
# field `r`. A layer of kernel `k`, dilation `d` and stride `s` does
#
# > `r ← r + (k − 1) · d · j`, then `j ← j · s`
#
# and a pooling layer is such a layer, too: its own 2×2 window counts. Forgetting that is why 125 is often given as the
# field of ten convolutions with five *poolings* between them. It is the field of convolutions that carry a *stride* of
# two themselves. With pooling it is 140 after the tenth convolution, and 156 after the fifth pooling.

# %%
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from recipes.lesson.cells import show, tabulate
from recipes.lesson.experiments.drawing import BLUE, CORAL, INK, PLUM, TEAL, YELLOW, bare, sheet
from recipes.lesson.photo import as_input, photo
from segmentation.backbones.resnet import ResNet
from shared import rf
from shared.rf import Field

DEPTH = 10
DOUBLING = [2**at for at in range(DEPTH)]


def depths(layers: list[list[Field]]) -> list[Field]:
    """The field after each convolution and whatever goes with it."""
    return [rf.through(*(field for group in layers[:depth] for field in group)) for depth in range(1, DEPTH + 1)]


even = [at % 2 == 1 for at in range(DEPTH)]  # every second layer
STACKS = {
    "plain": ([[rf.conv(3)]] * DEPTH, INK),
    "stride 2 in every second": ([[rf.conv(3, stride=2 if second else 1)] for second in even], TEAL),
    "2×2 pool after every second": ([[rf.conv(3)] + [rf.pool(2)] * second for second in even], CORAL),
    "2×2 pool after every one": ([[rf.conv(3), rf.pool(2)]] * DEPTH, PLUM),
    "dilation doubling": ([[rf.conv(3, dilation)] for dilation in DOUBLING], BLUE),
    "dilation doubling every second": ([[rf.conv(3, 2 ** (at // 2))] for at in range(DEPTH)], YELLOW),
}
assert [depths(layers)[-1].size for layers, _ in STACKS.values()] == [21, 125, 156, 3070, 2047, 125]
assert (depths(STACKS["2×2 pool after every second"][0])[-2] >> rf.conv(3)).size == 140

with sheet(10, 4.4) as figure:
    axes = figure.add_subplot()
    for name, (layers, color) in reversed(STACKS.items()):
        sizes = [field.size for field in depths(layers)]
        style = {"lw": 5, "ms": 0} if color == YELLOW else {"lw": 1.5, "ms": 3.5}
        axes.plot(range(1, DEPTH + 1), sizes, color=color, marker="o", **style)
        if color != YELLOW:
            both = "stride 2, or dilation doubling, in every second"
            text = f"{both if color == TEAL else name}: {sizes[-1]:,}"
            shift = {CORAL: 4, TEAL: -4}.get(color, 0)
            axes.annotate(
                text, (DEPTH, sizes[-1]), xytext=(8, shift), textcoords="offset points", color=color, va="center",
                fontsize=8.5, annotation_clip=False,
            )  # fmt: skip
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlim(0.7, 14.2)
    axes.spines.bottom.set_bounds(1, DEPTH)
    axes.set_xticks(range(1, DEPTH + 1))
    axes.set_xlabel("convolutions")
    axes.set_ylabel("receptive field, pixels along a side")
    figure.suptitle(
        "Pooling grows exponentially too, and can outgrow dilation",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
show(
    figure,
    "Field after each of ten convolutions, on a logarithmic scale; a pool counts with the convolution before it. "
    "Strides and dilations that follow the same schedule give the same field: 125.",
    alt="Six curves of field over depth, from 21 for the plain stack to 3,070 for a pool after every layer.",
)

# %% [markdown]
# So “dilation grows exponentially, pooling does not” is unfair: with a pool after every convolution the field is 3,070,
# more than the dilated stack's 2,047. What differs is what is left in the end, and what it costs. After five halvings
# the map has one cell for 1,024 pixels; the dilated stack still has one for each, and has paid for each. Here are the
# multiply-adds of the real networks, with 64 channels throughout, on a picture of 512×512.

# %%
SIDE, CHANNELS = 512, 64


def network(layers: list[list[Field]]) -> nn.Sequential:
    """The stack as a module, after a first 1×1 to its channels, read off its fields."""
    modules: list[nn.Module] = [nn.Conv2d(3, CHANNELS, 1)]
    for group in layers:
        for field in group:
            if field.size == 2:
                modules.append(nn.MaxPool2d(2))
            else:
                rate = field.size // 2
                modules.append(nn.Conv2d(CHANNELS, CHANNELS, 3, stride=field.jump, dilation=rate, padding=rate))
    return nn.Sequential(*modules)


with torch.device("meta"):
    blank = torch.empty(1, 3, SIDE, SIDE)
    costs = {}
    for name in ("plain", "stride 2 in every second", "2×2 pool after every second", "dilation doubling"):
        with FlopCounterMode(display=False) as counter:
            map_side = network(STACKS[name][0])(blank).shape[-1]
        costs[name] = counter.get_total_flops() / 2e9, map_side

tabulate(
    ["stack", "field", "billion multiply-adds", "cells kept"],
    [[name, depths(STACKS[name][0])[-1].size, f"{macs:.1f}", f"{side**2:,}"] for name, (macs, side) in costs.items()],
)
dear = costs["dilation doubling"][0] / costs["stride 2 in every second"][0]
assert costs["plain"][0] == costs["dilation doubling"][0]
assert round(dear, 1) == 6.0

with sheet(10, 4) as figure:
    axes = figure.add_subplot()
    for name, (macs, side) in costs.items():
        size, color = depths(STACKS[name][0])[-1].size, STACKS[name][1]
        axes.scatter(macs, size, s=side**2 / 80, color=color, alpha=0.9, lw=0, zorder=2)
        axes.plot(macs, size, "+", color="white" if side > 100 else color, ms=6, mew=1.2, zorder=3)
        right = side > 100
        axes.annotate(
            f"{name}\nfield {size:,}, {side}×{side} cells kept", (macs, size), color=color, va="center",
            ha="right" if right else "left", xytext=(-38 if right else 10, {125: -6, 156: 8}.get(size, 0)),
            textcoords="offset points", fontsize=9,
        )  # fmt: skip
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylim(8, 7000)
    axes.set_xlim(0, 115)
    axes.set_xlabel("billion multiply-adds for one picture of 512×512")
    axes.set_ylabel("receptive field, pixels along a side")
    figure.suptitle(
        "Dilation buys field for nothing, but pays for keeping every position",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
show(
    figure,
    "The area of a disc is the number of cells that are left. The plain and the dilated stack cost the same to the "
    "last multiply-add; what is dear is to work at full resolution.",
    alt="Field over cost: two large discs at high cost, fields 21 and 2,047, and two small ones far cheaper.",
)

# %% [markdown]
# Six times the price of striding, here, and all of it is the price of full resolution: the dilated stack costs what the
# plain one does, to the last multiply-add. That is why DeepLab does not dilate from the first layer on. It lets its
# ResNet stride to an eighth or a sixteenth of the picture, and dilates only after that.
#
# ## The à-trous identity
#
# What then *is* a dilated network, compared with the strided one it was made from? Take a ResNet-50. At output stride
# 32 it has five strides of two. Remove the last two, double the dilation of what follows each of them, and it works at
# stride 8, **with the same weights**. Then its map contains the old map: every fourth cell of every fourth row *is* the
# strided network's answer. The other fifteen sixteenths are, borders apart, the answers that the strided network would
# have given for the picture shifted by 8, 16 or 24 pixels.

# %%
torch.manual_seed(0)
strided, dilated = ResNet(50, output_stride=32).double().eval(), ResNet(50, output_stride=8).double().eval()
dilated.load_state_dict(strided.state_dict())
assert strided.fields.high.size == dilated.fields.high.size == 427

pixels = photo(192)
with torch.inference_mode():
    coarse = strided(as_input(pixels).double()).high[0]
    fine = dilated(as_input(pixels).double()).high[0]
    largest = float((fine[:, ::4, ::4] - coarse).abs().max() / coarse.abs().max())
print(f"output stride 32: {tuple(coarse.shape)}\noutput stride  8: {tuple(fine.shape)}")
print(f"largest difference of shared cells, as a share of the largest value: {largest:.1e}")
assert largest < 1e-12

maps = [each.numpy() for each in (coarse.mean(0), fine.mean(0), (fine[:, ::4, ::4] - coarse).abs().amax(0))]
low, high = maps[1].min(), maps[1].max()
with sheet(10, 3.1) as figure:
    first, *panels = figure.subplots(1, 4)
    first.imshow(pixels)
    first.set_title("a picture of 192×192")
    titles = ("stride 32: 6×6 cells", "stride 8: 24×24 cells", "difference of the shared cells")
    for axes, values, title in zip(panels, maps, titles, strict=True):
        axes.imshow(values, cmap="cividis", vmin=low, vmax=high) if axes is not panels[-1] else axes.imshow(
            values, cmap="Greys", vmin=0, vmax=float(coarse.abs().max())
        )
        axes.set_title(title)
    at = [4 * cell for cell in range(6)]
    panels[1].scatter(*zip(*((x, y) for x in at for y in at), strict=True), s=18, fc="none", ec="white", lw=0.9)
    panels[2].text(2.5, 2.5, f"{largest:.1g}", ha="center", va="center")
    for axes in (first, *panels):
        bare(axes)
    figure.suptitle(
        "The strided network's map is inside the dilated network's: every fourth cell",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
show(
    figure,
    "Mean over the 2,048 channels of a ResNet-50 with random weights, the same in both. Circles mark the shared cells; "
    "the last panel is the largest difference over all channels, on a scale to the largest value.",
    alt="A photograph, a map of 6×6 cells, one of 24×24 cells with 36 circles, and an empty panel of differences.",
)

# %% [markdown]
# That is the honest sentence about dilation: **it is the strided network, evaluated at every shift**. It adds no
# parameters and no field (427 pixels in both); it adds positions, sixteen times as many here, and asks to be paid for
# each of them.

# %%
rows = []
with torch.device("meta"):
    for stride in (32, 16, 8):
        backbone = ResNet(50, output_stride=stride)
        with FlopCounterMode(display=False) as counter:
            cells = backbone(torch.empty(1, 3, 513, 513)).high.shape[-1]
        rows.append([f"output stride {stride}", backbone.fields.high.size, f"{cells}×{cells}",
                     f"{counter.get_total_flops() / 2e9:.0f}"])  # fmt: skip
tabulate(["ResNet-50 on 513×513", "field", "cells", "billion multiply-adds"], rows)
