"""Part 1 of the tour: what a network with pools sees, what its small maps hold, and what is really lost in them."""

# %% [markdown]
# # 1. To see far or to see sharply
#
# To say what a pixel shows, a network has to look around it: is this dark patch a sleeve or a hat? How far it can look
# is its *receptive field*, the part of the picture that one number of its output is computed from. To say it *for every
# pixel*, as segmentation does, it has to keep track of places, too. The two pull in opposite directions. The classical
# way to see far is to *pool*: to replace 2×2 neighbours by the largest of them, so that the next layer's 3×3 covers
# twice the ground, on a map of a quarter of the size.
#
# Here is such a network, three times convolution and pool. `rf.of` records one pass through it and walks back through
# it to see what one cell in the middle of the output is computed from.

# %%
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.patches import Rectangle
from torch import nn

from recipes.lesson.cells import show
from recipes.lesson.experiments.drawing import BLUE, CORAL, PLUM, TEAL, bare, sheet
from recipes.lesson.photo import photo
from shared import rf

network = nn.Sequential(
    *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
    *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
    *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
).eval()
FIELD = rf.conv(3) >> rf.pool(2) >> rf.conv(3) >> rf.pool(2) >> rf.conv(3) >> rf.pool(2)
found = rf.of(network, (1, 64, 64))
shape = tuple(network(torch.zeros(1, 1, 64, 64)).shape)
print(f"input (1, 1, 64, 64), output {shape}")
print(f"by arithmetic: {FIELD}\nby looking:    {found.axes[0]}")
assert found.size == (FIELD.size,) * 2 == (22, 22)
assert FIELD.jump == found.axes[0].jump == 8

# %% [markdown]
# So each cell of the 8×8 map sees 22×22 pixels, and its neighbour sees a window 8 pixels further on. They overlap by
# 14. On a photograph:

# %%
SIDE = 96
picture = photo(SIDE, (152, 62, 392, 302))
with sheet(10, 3.8) as figure:
    for axes, title in zip(figure.subplots(1, 3), ("one cell", "its neighbour", "all cells"), strict=True):
        axes.imshow(picture)
        bare(axes)
        for line in range(0, SIDE + 1, FIELD.jump):
            axes.axhline(line - 0.5, color="white", lw=0.4, alpha=0.7)
            axes.axvline(line - 0.5, color="white", lw=0.4, alpha=0.7)
        axes.set_title(title, fontweight="bold")
        cells = {"one cell": [(5, BLUE)], "its neighbour": [(5, BLUE), (6, PLUM)]}.get(title, [])
        for column, color in cells:
            left, top = column * 8 + FIELD.offset - 0.5, 5 * 8 + FIELD.offset - 0.5
            axes.add_patch(Rectangle((left, top), FIELD.size, FIELD.size, fill=False, ec=color, lw=2.2))
            axes.add_patch(Rectangle((column * 8 - 0.5, 39.5), 8, 8, fc=color, ec="none", alpha=0.7))
        if not cells:
            means = picture.reshape(12, 8, 12, 8, 3).mean((1, 3)).astype(np.uint8)
            axes.imshow(means, extent=(-0.5, SIDE - 0.5, SIDE - 0.5, -0.5))
    figure.suptitle(
        "A cell looks at 22×22 pixels, but there is only one for every 8×8",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
show(
    figure,
    "The grid is the map at stride 8; a filled square is a cell's own place, the frame what it sees. Right: what is "
    "left of the picture if a cell keeps one colour.",
    alt="A face under a grid of 8 pixels, with the windows of two cells; and the same face in 12×12 squares.",
)

# %% [markdown]
# ## Has resolution been lost?
#
# The usual next sentence is: *8×8 instead of 64×64, so information is destroyed.* Count before you believe it. The map
# has 64 channels, and 64·8·8 = 4,096 = 64·64: as many numbers as the picture had. Its shape alone shows no loss. Indeed
# there is a way to 8×8×64 that loses nothing, and needs no training: put the 64 pixels of each block into the 64
# channels.

# %%
assert np.prod(shape) == 64 * 64
gray = torch.from_numpy(photo(64)).float().mean(-1)[None, None]
packed = F.pixel_unshuffle(gray, 8)
unpacked = F.pixel_shuffle(packed, 8)
print(f"packed: {tuple(packed.shape)}, unpacked again, largest difference: {(unpacked - gray).abs().max():g}")
assert torch.equal(unpacked, gray)

# %% [markdown]
# What a pool does lose is *where* in its window the largest value was, unless the convolution before it has written
# that into a channel of its own. Move a line by one pixel and look at what a pool makes of it:

# %%
lines = torch.zeros(2, 1, 16, 16)
lines[0, ..., 4], lines[1, ..., 5] = 1, 1
pools = F.max_pool2d(lines, 2)
assert torch.equal(pools[0], pools[1])

EDGE = torch.tensor([[[[0.0, 0, 0], [0, 1, 0], [0, 0, 0]]], [[[0, 0, 0], [1, 0, 0], [0, 0, 0]]]])
told = F.max_pool2d(F.conv2d(lines, EDGE, padding=1), 2)
assert not torch.equal(told[0], told[1])
print("max-pool alone: a line in column 4 or 5 gives the same map")
print("after two filters, as it is and moved by one: the maps differ, so the place is still known")

# %% [markdown]
# So the loss is not in the shape, nor strictly in the pool. It is in what comes after, when *one answer per cell* is
# asked for and then enlarged. Suppose the coarse map is perfect: every cell knows exactly what share of it is covered
# by a stroke. Enlarge it smoothly and say “stroke” where it exceeds a half. How much of the stroke comes back?

# %%
STRIDES = {2: BLUE, 4: TEAL, 8: CORAL, 16: PLUM}
WIDTHS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24)


def strokes(width: float, count: int, side: int = 128, seed: int = 0) -> torch.Tensor:
    """Straight strokes of random place and direction, across the picture: ``[count, 1, side, side]``."""
    random = np.random.default_rng(seed)
    row, column = np.mgrid[:side, :side] - (side - 1) / 2
    turn, shift = random.uniform(0, np.pi, (count, 1, 1)), random.uniform(-16, 16, (count, 1, 1))
    inside = np.abs(row * np.cos(turn) + column * np.sin(turn) - shift) <= width / 2
    return torch.from_numpy(inside).float()[:, None]


def returned(truth: torch.Tensor, stride: int) -> torch.Tensor:
    """What is said of a perfect map at this stride, enlarged bilinearly."""
    return F.interpolate(F.avg_pool2d(truth, stride), scale_factor=stride, mode="bilinear", align_corners=False) > 0.5


def iou(truth: torch.Tensor, answer: torch.Tensor) -> float:
    """Intersection over union of all pixels."""
    truth = truth.bool()
    return float((truth & answer).sum() / (truth | answer).sum())


drawn_widths = (1, 3, 5, 8, 12, 20)
with sheet(10, 5.3) as figure:
    grid = figure.subplots(3, len(drawn_widths))
    for column, width in zip(grid.T, drawn_widths, strict=True):
        truth = strokes(width, 6, side=96)[4:5]
        answer = returned(truth, 8)
        for axes, values in zip(column, (truth, F.avg_pool2d(truth, 8), answer), strict=True):
            axes.imshow(values[0, 0].numpy(), cmap="Greys", vmin=0, vmax=1.15)
        column[0].set_title(f"{width} pixel{'s' if width > 1 else ''}", fontweight="bold")
        column[2].set_xlabel(f"IoU {iou(truth, answer):.2f}")
        for axes in column:
            bare(axes)
    for axes, name in zip(grid[:, 0], ("truth", "perfect map,\nstride 8", "enlarged,\nover a half"), strict=True):
        axes.set_ylabel(name)
    figure.suptitle(
        "At stride 8 even a perfect map cannot bring a thin line back",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
show(
    figure,
    "Above the truth, in the middle the share of each cell that is covered, below what is said of it.",
    alt="A slanted line 1 to 20 pixels wide, its 12×12 map, and what is enlarged from it: nothing where it is thin.",
)

truths = {width: strokes(width, 64) for width in WIDTHS}
curves = {stride: [iou(truths[width], returned(truths[width], stride)) for width in WIDTHS] for stride in STRIDES}
with sheet(10, 3.6) as figure:
    axes = figure.add_subplot()
    for stride, color in STRIDES.items():
        axes.plot(WIDTHS, curves[stride], color=color, marker="o", ms=3.5)
        at = np.interp(0.5, curves[stride], WIDTHS)
        axes.text(at * 1.05, 0.47, f"stride {stride}", color=color, fontweight="bold")
    axes.set_ylim(-0.03, 1.05)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("width of the stroke, pixels (logarithmic)")
    axes.set_ylabel("IoU of what comes back")
    figure.suptitle(
        "Thinner than half a stride, a line is gone; from a whole stride on, it is drawn well",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
show(
    figure,
    "64 strokes of each width, in random directions and places. Doubling the stride moves the curve by one octave.",
    alt="Four rising curves of IoU over stroke width, one for each stride; the coarser, the later they rise.",
)
eight = dict(zip(WIDTHS, curves[8], strict=True))
print("stride 8:", ", ".join(f"{width} px {value:.2f}" for width, value in eight.items()))
assert eight[4] < 0.05
assert eight[8] > 0.75

# %% [markdown]
# That is the real problem, and its size. Three ways out are known: bring the finer maps back by *skip connections*
# (U-Net), let each cell answer for all of its pixels (sub-pixel convolution), or never shrink the map, and find another
# way to see far. The third way is dilation, and what the rest of the tour is about. Parts 5 and 7 come back to the
# other two.
