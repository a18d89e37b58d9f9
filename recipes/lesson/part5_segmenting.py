"""Part 5 of the tour: a dilated network and its pooled twin learn to segment, and are scored as they should be."""

# %% [markdown]
# # 5. Learning to segment
#
# Enough arithmetic; let two networks learn. The task: find *bodies* (filled shapes) and *strokes* (lines 1 to 3 pixels
# wide) on a dark ground. Bodies and strokes share their colours, so that a pixel alone does not tell which it belongs
# to: one has to look around. And strokes are what a coarse map cannot hold.

# %%
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.colors import ListedColormap
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from recipes.lesson.cells import show, tabulate, tell
from recipes.lesson.experiments.drawing import BLUE, CORAL, bare, sheet
from segmentation import DilatedSegNet, create_segmentation_dataset, train_segmentation
from segmentation.backbones import Features
from segmentation.lesson import CLASSES
from segmentation.losses import Sum
from segmentation.metrics import Boundary, Confusion
from segmentation.networks import PoolFree
from segmentation.transforms import IMAGENET
from shared import rf

SIDE = 48
MASKS = ListedColormap(["#e8edf0", BLUE, CORAL])
images, masks = create_segmentation_dataset(440, (SIDE, SIDE))
train, held = (images[:400], masks[:400]), (images[400:], masks[400:])


def as_picture(image: Tensor) -> np.ndarray:
    """``[3, h, w]`` as networks take it, back to colours ``[h, w, 3]`` between 0 and 1."""
    mean, deviation = (torch.tensor(each)[:, None, None] for each in (IMAGENET.mean, IMAGENET.std))
    return (image * deviation + mean).clamp(0, 1).permute(1, 2, 0).numpy()


with sheet(10, 3.6) as figure:
    for at, column in enumerate(figure.subplots(2, 6).T):
        column[0].imshow(as_picture(images[at]))
        column[1].imshow(masks[at].numpy(), cmap=MASKS, vmin=0, vmax=2, interpolation="nearest")
        for axes in column:
            bare(axes)
    figure.suptitle(
        "No two pictures alike: bodies (blue) and strokes (orange)", x=0.012, ha="left", fontsize=11, fontweight="bold"
    )
show(figure, "Above, what a network is given; below, what it should say.", alt="Six pictures and their masks.")

# %% [markdown]
# ## First, a lesson in bad evaluation
#
# Why all the variety? Toy data is easily made with the same shapes at the same places in every picture; only the noise
# differs. Then a “network” that ignores its input and always gives the same mask is perfect. *Mean IoU* is for each
# class the pixels that are it **and** were called it, over those that are it **or** were called it, averaged over
# classes; 1 is perfect. Score the best constant mask on data of either kind:

# %%


def best_constant(masks: Tensor) -> Tensor:
    """The most frequent class at each place, for every picture."""
    return F.one_hot(masks).sum(0).argmax(-1).expand_as(masks)


def confusion_of(masks: Tensor, predicted: Tensor) -> Confusion:
    """How often each class was called what."""
    confusion = Confusion(len(CLASSES))
    confusion.add(masks, predicted)
    return confusion


same = masks[:1].expand_as(masks)
constant = {name: confusion_of(kind, best_constant(kind)).mean_iou for name, kind in (("same", same), ("own", masks))}
tabulate(
    ["a constant mask, on", "mean IoU"],
    [["pictures that share one mask", f"{constant['same']:.3f}"], ["our pictures", f"{constant['own']:.3f}"]],
)
assert constant["same"] == 1
assert constant["own"] < 0.3

# %% [markdown]
# A score is only as good as what it is compared with, and needs pictures that were held back from training.
#
# ## Two networks that differ in one thing
#
# `DilatedSegNet` is the network of the lesson: no pooling at all, five convolutions of dilation 1, 1, 2, 4, 8, the
# pyramid of part 3, a small decoder. At full size it is dear: see below. We train it an eighth as wide. Its *twin* has
# the same layers, the same number of weights, to the last one, and reaches further still: wherever the one doubles its
# dilation the other halves its map, and its pyramid's rates shrink accordingly. It ends at stride 8, and its answer is
# enlarged smoothly, as in DeepLab.

# %%


class PooledTwin(nn.Module):
    """``DilatedSegNet`` with 2×2 max-pools where that one dilates: ``[b, 3, h, w] -> [b, 3, h, w]``."""

    def __init__(self, width: int):
        super().__init__()
        built = PoolFree(stem_stride=1, width=width, dilations=(1, 1, 1, 1), rates=(1, 2, 3)).build(len(CLASSES))
        self.stem, self.layers, self.head = built.backbone.stem, built.backbone.layers, built.classifier

    def forward(self, images: Tensor) -> Tensor:
        """Logits, enlarged from an eighth of the size."""
        x = self.stem(images)
        for at, layer in enumerate(self.layers):
            x = layer(F.max_pool2d(x, 2) if at else x)
        coarse = self.head(Features(low=x, middle=x, high=x))
        return F.interpolate(coarse, size=images.shape[-2:], mode="bilinear", align_corners=False)


def parameters(network: nn.Module) -> int:
    """How many numbers are learnt."""
    return sum(each.numel() for each in network.parameters())


def multiply_adds(network: nn.Module, side: int) -> int:
    """For one picture."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval()(torch.zeros(1, 3, side, side))
    return counter.get_total_flops() // 2


with torch.device("meta"):
    lesson = DilatedSegNet(len(CLASSES))
    with FlopCounterMode(display=False) as counter:
        lesson.eval()(torch.empty(1, 3, 128, 128))
print(f"full size: {parameters(lesson):,} parameters, {counter.get_total_flops() / 2e9:.1f} GMAC for a 128×128 picture")
assert parameters(lesson) == 3_268_099

WIDTH = 8
torch.manual_seed(0)
dilated, pooled = DilatedSegNet(len(CLASSES), width=WIDTH), PooledTwin(WIDTH)
assert parameters(dilated) == parameters(pooled)
NETWORKS = {"dilated": dilated, "pooled": pooled}
reaches = {name: rf.of(network.eval(), (3, 160, 160)).finite for name, network in NETWORKS.items()}
assert [reach.largest[0] for reach in reaches.values()] == [73, 128]
tabulate(
    ["network", "parameters", "field", "million multiply-adds"],
    [
        [name, parameters(network), reaches[name].largest[0], f"{multiply_adds(network, SIDE) / 1e6:.1f}"]
        for name, network in NETWORKS.items()
    ],
)

# %% [markdown]
# The twin needs a small part of the multiply-adds. So it gets twice the steps, and still takes but a ninth of the
# arithmetic.

# %%
STEPS = {"dilated": 250, "pooled": 500}
price = multiply_adds(dilated, SIDE) / multiply_adds(pooled, SIDE)
assert round(price * STEPS["dilated"] / STEPS["pooled"]) == 9
trained = {
    name: train_segmentation(
        network, *train, held=held, steps=STEPS[name], batch=8, learning_rate=1e-2, loss=Sum(), seed=0
    )
    for name, network in NETWORKS.items()
}


def smooth(values: tuple[float, ...], width: int = 15) -> np.ndarray:
    """The mean of each value and its neighbours."""
    return np.convolve(values, np.ones(width) / width, mode="valid")


with sheet(10, 3) as figure:
    axes = figure.add_subplot()
    for (name, done), color in zip(trained.items(), (BLUE, CORAL), strict=True):
        share = np.linspace(0, 100, len(done.losses))
        axes.plot(share, done.losses, color=color, lw=0.5, alpha=0.35)
        line = smooth(done.losses)
        axes.plot(share[7:-7], line, color=color, lw=1.8)
        axes.annotate(
            f"{name}\n{STEPS[name]} steps", (100, line[-1]), xytext=(8, 0), textcoords="offset points", color=color,
            va="center", annotation_clip=False, fontweight="bold",
        )  # fmt: skip
    axes.set_ylim(0, 1.6)
    axes.set_xlim(0, 112)
    axes.spines.bottom.set_bounds(0, 100)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.set_xlabel("share of its steps, %")
    axes.set_ylabel("loss")
    figure.suptitle(
        "The twin stops learning early: the rest of its loss is out of its reach",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
show(
    figure,
    "Cross-entropy plus Dice, each batch and a running mean; same data, same learning rate, same seed.",
    alt="Two falling loss curves; the dilated network's ends far below its pooled twin's.",
)

# %% [markdown]
# ## What they say, and what they could say
#
# Besides the two there is a third answer to judge: that of a *perfect* map at stride 8, whose cells know the exact
# share of each class within them, enlarged as the twin's answer is. It says what is lost in the enlarging alone.
# *Boundary F* asks a different question from IoU: whether the outlines are where they should be, to within a pixel.

# %%
shares = F.avg_pool2d(F.one_hot(held[1]).permute(0, 3, 1, 2).float(), 8)
perfect = F.interpolate(shares, size=(SIDE, SIDE), mode="bilinear", align_corners=False).argmax(1)
with torch.inference_mode():
    answers = {"dilated": dilated(held[0]).argmax(1), "pooled": pooled(held[0]).argmax(1), "perfect stride 8": perfect}

scores, rows = {}, []
for name, predicted in answers.items():
    confusion, boundary = confusion_of(held[1], predicted), Boundary(len(CLASSES), tolerance=1.01 / (SIDE * 2**0.5))
    for mask, answer in zip(held[1], predicted, strict=True):
        boundary.add(mask, answer)
    scores[name] = confusion
    rows.append([name, *(f"{each:.2f}" for each in (*confusion.iou, confusion.mean_iou, boundary.mean))])
tabulate(["network", *(f"IoU {name}" for name in CLASSES), "mean IoU", "boundary F"], rows)
assert all(np.array_equal(trained[name].confusion.counts, scores[name].counts) for name in trained)

with sheet(10, 8) as figure:
    headings = ("picture", "truth", "dilated", "pooled twin", "perfect map at stride 8")
    grid = figure.subplots(4, 5)
    for at, line in enumerate(grid):
        line[0].imshow(as_picture(held[0][at]))
        for axes, mask in zip(line[1:], (held[1][at], *(answer[at] for answer in answers.values())), strict=True):
            axes.imshow(mask.numpy(), cmap=MASKS, vmin=0, vmax=2, interpolation="nearest")
        for axes in line:
            bare(axes)
    for axes, heading in zip(grid[0], headings, strict=True):
        axes.set_title(heading, fontweight="bold")
    figure.suptitle(
        "Both find the bodies; only the network that kept its positions can draw the strokes",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
show(
    figure,
    "The first four pictures that were held back, not chosen.",
    alt="Four rows: a picture, its true mask, and the dilated network's, its twin's and a perfect map's.",
)

# %%
assert scores["dilated"].iou[2] - scores["pooled"].iou[2] > 0.3
assert scores["perfect stride 8"].iou[2] < scores["pooled"].iou[2]
assert scores["dilated"].iou[1] > scores["pooled"].iou[1]
tell(
    f"**Verdict.** With the same weights and half the steps, the dilated network has a stroke IoU of "
    f"{scores['dilated'].iou[2]:.2f} against {scores['pooled'].iou[2]:.2f}, and of bodies "
    f"{scores['dilated'].iou[1]:.2f} against {scores['pooled'].iou[1]:.2f}. For this it took {price:.0f} times the "
    f"multiply-adds a picture. A perfect map of shares at stride 8, enlarged like the twin's, would have reached "
    f"{scores['perfect stride 8'].iou[2]:.2f} on strokes; the twin does better, as it has learnt to exaggerate."
)

# %% [markdown]
# What this does **not** show is that pooling is bad. The twin saw the strokes: it knows well that something is there.
# What it lacks is a way to say where, since one number a cell and class, smoothly enlarged, cannot draw a line. Give it
# its own finer maps back through skip connections, as U-Net does, and it can, for a fraction of what dilation costs;
# part 7 measures it. Most of today's segmentation networks (nnU-Net, SegFormer, Mask2Former) go that way and use no
# dilation at all; DeepLab and its kin do. It is a choice, and has its price.
