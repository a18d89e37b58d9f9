"""Part 2 of the tour: what a dilated convolution reads, how stacks of them grow, and where they leave holes."""

# %% [markdown]
# # 2. Nine readings, further apart
#
# A 3×3 convolution reads a pixel and its eight neighbours. A *dilated* one reads nine pixels too, but leaves
# `dilation − 1` pixels out between them. In French that is *à trous*, with holes, and so papers call it atrous. The
# number of weights stays nine, and with a padding as large as the dilation the picture keeps its size.

# %%
import numpy as np
import torch
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.patches import Rectangle
from torch import nn

from recipes.lesson.cells import show, tabulate
from recipes.lesson.experiments.drawing import BLUE, CORAL, INK, PALE, PLUM, TEAL, bare, sheet
from shared import rf
from shared.schedules import exponential

picture = torch.zeros(1, 1, 32, 32)
for dilation in (1, 2, 4, 8):
    conv = nn.Conv2d(1, 1, 3, dilation=dilation, padding=dilation)
    assert conv(picture).shape == picture.shape
    print(f"dilation {dilation}: {conv.weight.numel()} weights, {rf.of(conv, (1, 32, 32)).axes[0]}")

show(
    rf.DilatedConvVisualizer().taps([1, 2, 4, 8]),
    "The frame is the span; coloured pixels are all that is read of it. A picture that paints the whole frame as "
    "“covered” hides what the layer leaves out.",
    alt="The nine taps of a 3×3 kernel at dilation 1, 2, 4 and 8 on one pixel grid, each with its span as a frame.",
)

# %% [markdown]
# So “covers 17×17” is a generous word for what dilation 8 does: it reads 9 of 289 pixels, 3 %. The other 280 have to
# come from the layers before it, and whether they do is the question of this part.
#
# ## What is exponential about it
#
# Lessons often plot the spans 3, 5, 9, 17 over the dilations 1, 2, 4, 8 and write *exponential growth* above them. But
# the span of one layer is `1 + 2·dilation`: **a straight line in the dilation**. The curve bends only because the
# points were chosen to. What does grow exponentially is a *stack* whose dilations double from layer to layer: each
# layer adds `2·dilation` to the field, so that four layers see 31 pixels along a side, not 17, and ten see 2,047.

# %%
assert [rf.conv(3, dilation).size for dilation in (1, 2, 4, 8)] == [3, 5, 9, 17]
assert [rf.stack(3, exponential(depth)).size for depth in (1, 2, 3, 4, 5, 10)] == [3, 7, 15, 31, 63, 2047]
show(
    rf.DilatedConvVisualizer().growth(10),
    "Left: one layer. Right: stacks of ten layers, same kernel, same number of weights, on a logarithmic scale. "
    "Constant dilation grows linearly, 1, 2, 3 … quadratically, doubling and tripling exponentially.",
    alt="Left, a straight line of span over dilation. Right, field over depth for four schedules, up to 59,049.",
)

# %% [markdown]
# The row 3, 5, 9, 17, 33 does occur in the literature, as the field *so far* after each layer of the context module of
# [Yu and Koltun (2015)](https://arxiv.org/abs/1511.07122). But its dilations are 1, 1, 2, 4, 8, 16, 1: the first one is
# used twice, and that is why the row is one step behind.

# %%
module = (1, 1, 2, 4, 8, 16, 1)
tabulate(
    ["layer", *range(1, 8)],
    [["dilation", *module], ["field so far", *(rf.stack(3, module[:depth]).size for depth in range(1, 8))]],
)
assert [rf.stack(3, module[:depth]).size for depth in range(1, 8)] == [3, 5, 9, 17, 33, 65, 67]

# %% [markdown]
# ## Holes, and exactly when there are none
#
# A stack reads every sum of one tap from each layer. Three layers of dilation 2 reach 13 pixels wide, but every tap is
# an even step away, so no sum is ever odd, and 120 pixels of 169 are never read. This is *gridding*, and what such a
# network paints tends to show a checkerboard.
#
# > **Theorem.** Sort the dilations. A stack reads every pixel of its field if and only if no dilation is larger than
# > the field of the smaller ones.
#
# Why: if a dilation `d` exceeds the field `R` of the smaller ones, the pixel `R` steps from the first one read can be
# reached neither by the smaller ones, which end before it, nor with a tap of `d`, which lies beyond. If it does not,
# copies of an unbroken interval are shifted by no more than their own length, and touch. Order does not matter, since
# sums do not care about it. The theorem is about which numbers can be written as sums, and for binary sums it is J. L.
# Brown's of 1961. `rf.verdict` decides by it.
#
# Two sayings fall with it. “Powers of two cause checkerboards” is wrong: 1, 2, 4, 8 has no holes; they come from
# *leaving out the 1*, or from growing faster than the kernel. And the criterion published with hybrid dilated
# convolution ([Wang et al. 2018](https://arxiv.org/abs/1702.08502)), taken alone, lets 2, 2, 2 pass.

# %%
SCHEDULES = ((2, 2, 2), (1, 2, 9), (1, 2, 5), (1, 3, 9))
HEAT = LinearSegmentedColormap.from_list("paths", ["#cfe3ec", BLUE, INK])

with sheet(10, 3.5) as figure:
    for axes, rates in zip(figure.subplots(1, 4), SCHEDULES, strict=True):
        field, ways = rf.stack(3, rates), np.array(rf.paths(3, rates).counts)
        both, end = np.outer(ways, ways), field.size / 2
        shades = PowerNorm(0.4, 0.5, max(2, both.max()))
        axes.imshow(np.ma.masked_equal(both, 0), cmap=HEAT, norm=shades, extent=(-end, end, end, -end))
        axes.add_patch(Rectangle((-end, -end), 2 * end, 2 * end, fill=False, ec=INK, lw=0.8, clip_on=False))
        bare(axes)
        reads, cells = int((both > 0).sum()), field.size**2
        axes.set_title("dilations " + ", ".join(map(str, rates)), fontweight="bold")
        axes.set_xlabel(f"reads {reads} of {cells}\n" + ("no holes" if field.gap_free else "gridded"), color=INK)
        assert field.gap_free == rf.gap_free(3, rates) == (reads == cells)
    figure.suptitle(
        "A missing 1, or a step too far, leaves holes; growth by up to three does not",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
show(
    figure,
    "What one output of three 3×3 layers reads: the frame is the field, white is never read, and the darker a pixel "
    "the more paths lead from it to the output. All four cost the same.",
    alt="Maps of read pixels for four schedules of dilations; the first two are full of white holes, the others whole.",
)

for rates in SCHEDULES:
    print(f"{rates!s:10} {rf.verdict(3, rates)}")
assert rf.passes_hdc(3, (2, 2, 2))
assert not rf.gap_free(3, (2, 2, 2))
assert rf.gap_free(3, (1, 2, 4, 8))
print(f"\nfor a field of 101 pixels, the fewest layers without holes: {rf.design(101)}")

# %% [markdown]
# ## Not all that is read weighs the same
#
# Being read once is not much. The number of paths from an input to the output is what its gradient is, before training
# has its say. A plain stack piles its paths up in the middle like a bell. Doubling with a kernel of three does
# something stranger: the counts are [Stern's diatomic sequence](https://oeis.org/A002487), a fractal. The pixel in the
# very middle has *one* path, and the outermost of the most travelled ones lie a third of the way out. Where the
# dilation grows by exactly the kernel (double for two taps, triple for three), every input has exactly one path: a
# perfect tree, thin everywhere.

# %%
STACKS = (
    ("kernel 3, all 1", 3, (1,) * 15, BLUE),
    ("kernel 3, doubling", 3, exponential(8), CORAL),
    ("kernel 3, tripling", 3, exponential(5, base=3), TEAL),
    ("kernel 2, doubling", 2, exponential(8), PLUM),
)
with sheet(10, 4.6) as figure:
    for axes, (name, kernel, rates, color) in zip(figure.subplots(2, 2).flat, STACKS, strict=True):
        ways = rf.paths(kernel, rates)
        counts = np.array(ways.counts)
        place = np.linspace(-1, 1, len(counts))
        axes.fill_between(place, counts, step="mid", color=color, lw=0)
        axes.set_xlim(-1.02, 1.02)
        axes.set_ylim(0, counts.max() * 1.25)
        axes.set_xticks([-1, 1], [f"{end:+d}" for end in (ways.offset, ways.offset + len(counts) - 1)])
        axes.set_yticks([1, int(counts.max())] if counts.max() > 1 else [1])
        axes.set_yticklabels([f"{tick:,}" for tick in axes.get_yticks()])
        axes.set_title(f"{name}: {len(rates)} layers see {len(counts)}", color=color, fontweight="bold")
        axes.spines.left.set_color(PALE)
    figure.suptitle(
        "Plain stacks look at the middle; doubling with three taps all but skips it",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
show(
    figure,
    "Paths from each input to one output. With kernel 3 and doubling the middle has one path and the most travelled "
    "inputs have 34, a Fibonacci number; tripling and kernel 2 are flat at one.",
    alt="Four profiles of path counts: a bell, a fractal with a hole in the middle, and two flat ones.",
)

stern = rf.paths(3, exponential(8)).counts
assert stern[len(stern) // 2] == 1
assert max(stern) == 34
assert 255 - stern.index(34) == 255 // 3  # pixels from the middle
assert set(rf.paths(3, exponential(5, base=3)).counts) == set(rf.paths(2, exponential(8)).counts) == {1}
for rates in ((1,) * 15, (1, 2, 3, 4, 5), (1, 2, 4, 8)):
    print(f"field {rf.stack(3, rates).size}, effective ±{rf.variance(3, rates) ** 0.5:.2f} pixels: {rates}")

# %% [markdown]
# The last lines are three stacks with the same field of 31, and how far their paths spread: the *effective* receptive
# field of [Luo et al. (2016)](https://arxiv.org/abs/1701.04128), in theory `√(Σ d² · (k² − 1) / 12)`. Fifteen plain
# layers use the middle of their field, four doubling ones use it all, at about a quarter of the cost.
