"""Part 3 of the tour: atrous spatial pyramid pooling over a photograph, what its branches see and what falls off."""

# %% [markdown]
# # 3. A pyramid of dilations
#
# How far should one look? A button needs a few pixels, a coat hundreds. *Atrous spatial pyramid pooling*, the head of
# [DeepLabV3](https://arxiv.org/abs/1706.05587) (Chen et al. 2017), does not choose. It reads the same feature map five
# times side by side: cell by cell (1×1), with 3×3 at three rates, and as a whole, by its mean. The five answers are
# joined and mixed by a 1×1.

# %%
from itertools import pairwise

import numpy as np
import torch
from matplotlib.animation import FuncAnimation
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle

from recipes.lesson.cells import show, tabulate
from recipes.lesson.experiments.drawing import BLUE, CORAL, PALE, PLUM, TEAL, YELLOW, sheet
from recipes.lesson.photo import photo
from segmentation import ASPPModule
from segmentation.networks import DeepLabV3
from shared import rf

HUES = (CORAL, BLUE, TEAL, PLUM)
NAMES = ("1×1", "rate 6", "rate 12", "rate 18")
module = ASPPModule(256, 256).train()
assert module(torch.randn(1, 256, 32, 32)).shape == (1, 256, 32, 32)
assert sum(each.numel() for each in module.parameters()) == 2_231_296
assert [field.size for field in module.fields] == [1, 13, 25, 37]
for name, field in zip(NAMES, module.fields, strict=True):
    print(f"{name:8}{field}")
print(f"together {module.field}")

# %% [markdown]
# The 1×1 branch sees **one** cell, not three: a kernel of one has no neighbours. And the spans 13, 25 and 37 are often
# drawn as solid squares, although each branch reads nine cells of its own: together they read 25 of 37×37.
#
# Watch them move over a photograph. It is 513×513 pixels, the features have output stride 16, so there are 33×33 cells.
# Every square is one tap, as large as its cell. Near the edge, taps fall off the map and read zeros.

# %%
SIDE, STRIDE = 513, 16
CELLS = -(-SIDE // STRIDE)
picture = photo(SIDE)
assert round(25 / 37**2, 3) == round(module.field.coverage_in(2), 3)


def taps(field: rf.Field, row: int, column: int) -> list[tuple[int, int, bool]]:
    """Where a branch reads for the cell at a place: ``(row, column, is on the map)``."""
    places = [(row + down, column + right) for down in field.offsets for right in field.offsets]
    return [(y, x, 0 <= y < CELLS and 0 <= x < CELLS) for y, x in places]


corners = [(16, 16), (16, 30), (30, 30), (30, 16), (30, 2), (16, 2), (2, 2), (2, 16), (16, 16)]
path = [
    (round(a + (c - a) * step / 4), round(b + (d - b) * step / 4))
    for (a, b), (c, d) in pairwise(corners)
    for step in range(4)
]

with sheet(9, 5.3) as figure:
    FigureCanvasAgg(figure)
    axes, side = figure.subplots(1, 2, width_ratios=[2, 1])
    reach = module.field.history
    gray = picture[::3, ::3].mean(-1)
    axes.imshow(gray, cmap="gray", vmin=-60, vmax=255, extent=(-0.5, CELLS - 0.5, CELLS - 0.5, -0.5))
    axes.set_xlim(-reach, CELLS + reach - 1)
    axes.set_ylim(CELLS + reach - 1, -reach)
    axes.set_axis_off()
    side.set_xlim(0, 13)
    side.set_ylim(3.6, -0.8)
    side.set_axis_off()
    for at, (name, color) in enumerate(zip(NAMES, HUES, strict=True)):
        side.text(0, at - 0.27, name, color=color, fontweight="bold", va="bottom")
    squares = axes.add_collection(PatchCollection([]))
    marks = side.add_collection(PatchCollection([]))
    counts = [side.text(9.5, at, "", va="center", color=color) for at, color in enumerate(HUES)]
    figure.suptitle(
        "Nine taps a branch, on the photograph; near its edge, most of a large rate's fall off",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip

    def frame(at: int) -> None:
        """Show all taps for the cell at this point of the path, and count those on the map."""
        patches, fills, edges, bars, shades = [], [], [], [], []
        branches = list(enumerate(zip(module.fields, HUES, strict=True)))
        for branch, (field, color) in reversed(branches):  # the 1×1 last: it lies on the middle taps of all others
            places = taps(field, *path[at])
            for y, x, valid in places:
                patches.append(Rectangle((x - 0.5, y - 0.5), 1, 1))
                fills.append(color if valid else "none")
                edges.append("white" if valid else color)
            valid = sum(place[2] for place in places)
            for each in range(len(places)):
                bars.append(Rectangle((each, branch - 0.16), 0.8, 0.32))
                shades.append(color if each < valid else PALE)
            counts[branch].set_text(f"{valid} of {len(places)}")
        squares.set_paths(patches)
        squares.set_facecolor(fills)
        squares.set_edgecolor(edges)
        squares.set_linewidth(0.7)
        marks.set_paths(bars)
        marks.set_facecolor(shades)

    on_map = [sum(tap[2] for tap in taps(module.fields[3], *place)) for place in path]
    assert (on_map[0], max(on_map)) == (1, 4)
    animation = FuncAnimation(figure, frame, frames=len(path))
    show(
        animation,
        "Filled squares are taps on the map, hollow ones lie on its padding. On 33×33 cells the branch of rate 18 "
        "never has more than four of its nine taps, and in the very middle it has one: there it is a 1×1.",
        alt="An animation: squares around a moving cell on a photograph; bars count how many are on the map.",
        fps=3,
    )

# %% [markdown]
# ## When a 3×3 is a 1×1
#
# On a map of `N` cells, a tap that is `r` cells off lies on the map for `N − r` of the `N` places along an axis. So of
# the nine taps `(1 + 2(N − r)/N)²` are of use on average: nearly nine for a small rate, and just one, the middle, when
# the rate reaches the size of the map. This is why DeepLabV3 has its fifth branch, the mean of the whole map: larger
# and larger rates do *not* see more and more of the picture.

# %%
SIZES = {33: ((6, 12, 18), CORAL), 65: ((12, 24, 36), BLUE)}
with sheet(10, 3.7) as figure:
    left, right = figure.subplots(1, 2)
    for cells, (used, color) in SIZES.items():
        rates = np.arange(1, 66)
        mean = [9 * rf.valid_share(rate, cells) for rate in map(int, rates)]
        whole = [100 * rf.whole_share(rate, cells) for rate in map(int, rates)]
        for axes, values in ((left, mean), (right, whole)):
            axes.plot(rates, values, color=color, lw=1.8)
            axes.plot(used, [values[rate - 1] for rate in used], "o", color=color, ms=6)
        stride = 16 if cells == 33 else 8
        name = f"{cells}×{cells} cells\n(stride {stride})"
        left.text(2 if cells == 33 else 26, 2.2 if cells == 33 else 5.2, name, color=color, fontweight="bold")
    left.set_ylim(0, 9.4)
    left.set_yticks([1, 3, 5, 7, 9])
    left.set_title("taps on the map, of nine, on average")
    right.set_title("share of places where all nine are, %")
    for axes in (left, right):
        axes.set_xlabel("rate, cells")
        axes.set_xlim(0, 66)
    figure.suptitle(
        "At the size of the map, a dilated 3×3 is a 1×1",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
show(
    figure,
    "A picture of 513×513 at output stride 16 and 8; the dots are the rates that DeepLabV3 uses there: 6, 12, 18, and "
    "twice as much at twice the resolution, so that they span the same pixels.",
    alt="Two panels of falling curves over the rate, one for 33 and one for 65 cells, with the rates in use as dots.",
)
assert [round(rf.whole_share(rate, 65), 3) for rate in (6, 12, 18)] == [0.665, 0.398, 0.199]  # the paper's figure 4
assert round(9 * rf.valid_share(18, 32), 2) == 3.52  # on the 32×32 cells of a 512×512 picture
assert rf.whole_share(18, 33) == 0

# %% [markdown]
# ## In pixels
#
# Rates count *cells of the feature map*. What a branch sees of the picture follows from what each cell sees already:
# 427 pixels, with a ResNet-50. Rates of 12, 24 and 36 at stride 8 add 192, 384 and 576 to it.

# %%
with torch.device("meta"):
    model = DeepLabV3(depth=50, output_stride=8).build(classes=21)
sizes = [field.size for field in model.branches]
assert sizes == [427, 619, 811, 1003]
tabulate(
    ["branch at output stride 8", "sees, cells", "sees, pixels", "holes among its pixels"],
    [
        [name, cells.size, pixels.size, "none" if pixels.gap_free else "some"]
        for name, cells, pixels in zip(
            ("1×1", "rate 12", "rate 24", "rate 36"), model.classifier.aspp.fields, model.branches, strict=True
        )
    ],
)

with sheet(10, 6.2) as figure:
    axes = figure.add_subplot()
    middle = SIDE / 2
    axes.imshow(picture, extent=(0, SIDE, SIDE, 0))
    for size, name, color in zip(sizes, ("1×1", "rate 12", "rate 24", "rate 36"), HUES, strict=True):
        left = middle - size / 2
        axes.add_patch(Rectangle((left, left), size, size, fill=False, ec=color, lw=2.4))
        axes.annotate(
            f"{name}: {size:,} pixels", (left + size, left + size), xytext=(-6, 6), textcoords="offset points",
            color=color, fontweight="bold", ha="right", va="bottom",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 2, "alpha": 0.9},
        )  # fmt: skip
    axes.plot(middle, middle, "+", color=YELLOW, ms=12, mew=2)
    axes.set_xlim(middle - 515, middle + 515)
    axes.set_ylim(middle + 515, middle - 515)
    axes.set_axis_off()
    figure.suptitle(
        "Three of DeepLabV3's four windows are larger than the picture it is trained on",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
show(
    figure,
    "To scale: what each branch of DeepLabV3 on a ResNet-50 sees around the middle of a 513×513 picture. The fifth "
    "branch sees all of it, wherever it is.",
    alt="A photograph inside nested frames of 427, 619, 811 and 1,003 pixels, three of which are larger than it.",
)

# %% [markdown]
# Each branch reads only nine cells, and yet there are no holes among its pixels: the windows of neighbouring taps
# overlap, because each is 427 wide and they are at most 36·8 = 288 apart. That is the theorem of part 2 again, with the
# backbone as the smaller field. Gridding is a danger for stacks that dilate from the start, and for features that are
# asked to be sharp; not for this head.
