"""Part 6 of the tour: dilation in time. WaveNet's tree, what it hears, and why its padding is on one side."""

# %% [markdown]
# # 6. The same idea in sound, with an arrow
#
# [WaveNet](https://arxiv.org/abs/1609.03499) (van den Oord et al. 2016) writes sound a sample at a time: 16,000 of them
# a second, each drawn from what the network makes of the samples before it. To know what pitch it is in, it has to hear
# many milliseconds back, and that is thousands of samples. Plain convolutions would take a thousand layers; dilations
# of 1, 2, 4, …, 512 take ten.
#
# It is a law that no output may see its own future: the future is what is to be predicted. Dilation as such does not
# obey it. The usual *symmetric* padding, as much on the right as on the left, lets each layer look ahead, and a network
# trained that way scores wonderfully by reading the answer. A *causal* convolution puts all of the padding,
# `(kernel − 1) · dilation`, before the sound.

# %%
import numpy as np
import torch
from matplotlib.animation import FuncAnimation
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection

from recipes.lesson.cells import show, tabulate
from recipes.lesson.experiments.drawing import BLUE, CORAL, INK, PALE, PLUM, TEAL, sheet
from shared import rf
from shared.layers import DilatedConvNet
from shared.schedules import exponential
from wavenet import WaveNet
from wavenet.data.plucks import melody
from wavenet.model import preset

torch.manual_seed(6)
CHANGED, LENGTH = 40, 80
wave = torch.randn(1, 1, LENGTH)
altered = wave.clone()
altered[..., CHANGED] += 1

with sheet(10, 3.4) as figure, torch.inference_mode():
    for axes, causal in zip(figure.subplots(2, 1, sharex=True), (False, True), strict=True):
        network = DilatedConvNet(1, 1, exponential(4), kernel_size=3, dimensions=1, causal=causal).eval()
        reach = rf.of(network, (1, LENGTH))
        moved = (network(altered) - network(wave)).abs()[0, 0].numpy()
        touched = np.flatnonzero(moved) - CHANGED
        # it is felt where the network looks ahead to it, and as long as the network remembers it
        assert touched.min() == -reach.lookahead[0]
        assert touched.max() == reach.history[0]
        times = np.arange(LENGTH) - CHANGED
        for when, color in ((times < 0, CORAL), (times >= 0, BLUE)):
            axes.bar(times[when], moved[when] / moved.max(), 0.8, color=color, lw=0)
        axes.axvline(0, color=INK, lw=0.8, ls=(0, (4, 3)))
        axes.set_yticks([])
        axes.spines.left.set_visible(False)
        kind = "causal padding" if causal else "symmetric padding"
        axes.set_title(f"{kind}: looks {reach.lookahead[0]} samples ahead, {reach.history[0]} back", fontweight="bold")
        print(f"{kind}: {reach}")
    axes.set_xlabel("sample, counted from the one that was changed")
    figure.suptitle(
        "With symmetric padding, a change is felt before it happens",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
show(
    figure,
    "How much each output moves when one input sample is changed: two random networks, kernel 3, dilations 1, 2, 4, 8. "
    "Orange bars come before their cause.",
    alt="Two bar charts of change over time. The upper one starts 15 samples before the change, the lower at it.",
)

# %% [markdown]
# ## The tree
#
# Here is WaveNet's figure, moving: kernel 2, dilations 1, 2, 4, 8. All connections are there all the time; bright is
# what leads into the present output. With two taps and doubling, every one of the sixteen samples has exactly one path
# to the output: a binary tree of 30 edges.

# %%
DILATIONS = exponential(4)
FIELD = rf.stack(2, DILATIONS, causal=True)
FIRST, LAST = -FIELD.history, 15
times = range(FIRST, LAST + 1)
layers = range(len(DILATIONS) + 1)


def edges_into(at: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """All connections that lead into the output at a time, each from a point (time, layer) to another."""
    found, reached = [], {at}
    for layer in reversed(layers[1:]):
        taps = rf.conv(2, DILATIONS[layer - 1], causal=True).offsets
        found += [((time + tap, layer - 1), (time, layer)) for time in reached for tap in taps]
        reached = {time + tap for time in reached for tap in taps}
    return found


assert len(edges_into(0)) == 30
assert rf.paths(2, DILATIONS, causal=True).counts == (1,) * 16

with sheet(10, 4) as figure:
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(FIRST - 5.5, LAST + 1)
    axes.set_ylim(-0.95, len(DILATIONS) + 0.5)
    every = {edge for time in times for edge in edges_into(time) if edge[0][0] >= FIRST}
    axes.add_collection(LineCollection(sorted(every), colors=PALE, linewidths=0.5, alpha=0.7))
    tree = axes.add_collection(LineCollection([], colors=BLUE, linewidths=1.6, zorder=2))
    dots = axes.scatter([], [], s=34, zorder=3, linewidths=0.8)
    (bracket,) = axes.plot([], [], color=BLUE, marker="|", ms=8, lw=1.4)
    label = axes.text(0, -0.62, "", ha="center", va="top", color=BLUE)
    for layer in layers:
        name = f"dilation {DILATIONS[layer - 1]}" if layer else "sound"
        axes.text(FIRST - 1, layer, name, ha="right", va="center")
    figure.suptitle(
        "One output, sixteen samples, one path from each, none from the future",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip

    def frame(now: int) -> None:
        """The network at the moment when the output ``now`` is computed."""
        lit = edges_into(now)
        bright = {point for edge in lit for point in edge}
        points = [(time, layer) for time in times for layer in layers]
        fills = [
            CORAL
            if point == (now, len(DILATIONS))
            else BLUE
            if point in bright
            else PALE
            if point[0] <= now
            else "white"
            for point in points
        ]
        tree.set_segments(lit)
        dots.set_offsets(points)
        dots.set_facecolor(fills)
        dots.set_edgecolor([PALE if fill in (PALE, "white") else fill for fill in fills])
        first = now + FIELD.offset
        bracket.set_data([first, now], [-0.45, -0.45])
        label.set_position(((first + now) / 2, -0.62))
        label.set_text(f"{FIELD.size} samples")

    animation = FuncAnimation(figure, frame, frames=range(LAST + 1))
    show(
        animation,
        "Grey is the past, white has not happened yet. Each layer of the network is computed once for every time; the "
        "tree only shows which of it the present output uses.",
        alt="An animated binary tree over sixteen samples, four layers high, that moves right a sample at a time.",
        fps=3,
    )

# %% [markdown]
# ## How much does it hear?
#
# The paper says of its blocks of dilations 1, 2, 4, …, 512 that each “has receptive field of size 1024”: with a kernel
# of **two**, the field is one sample more than the dilations add up to. Lessons often build it with the kernel of three
# that pictures use, and get 2,047. That is not wrong arithmetic, but it is another network. Stacking the block does not
# multiply its field, it adds: three blocks hear 3,070 samples, which is 1 + 3·1,023.

# %%
RATE = WaveNet.sample_rate
HEARD = (
    ("kernel 2, one block (the paper)", 2, exponential(10), BLUE),
    ("kernel 3, one block", 3, exponential(10), PLUM),
    ("kernel 2, three blocks", 2, exponential(10, stacks=3), TEAL),
)
fields = [rf.stack(kernel, rates, causal=True) for _, kernel, rates, _ in HEARD]
assert [field.size for field in fields] == [1024, 2047, 3070]
tabulate(
    ["stack", "layers", "samples", "ms at 16 kHz"],
    [
        [name, len(rates), field.size, f"{1000 * field.size / RATE:.1f}"]
        for (name, _, rates, _), field in zip(HEARD, fields, strict=True)
    ],
)

sound = melody(1.0, np.random.default_rng(3))
until = int(0.75 * RATE)
shown = sound[until - 5200 : until]
with sheet(10, 3.3) as figure:
    axes = figure.add_subplot()
    when = (np.arange(len(shown)) - len(shown) + 1) / RATE * 1000
    peak, struck = np.abs(shown).max(), when[np.abs(np.diff(shown)).argmax()]
    assert fields[1].size < -struck * RATE / 1000 < fields[2].size
    axes.plot(when, shown / peak, color=INK, lw=0.6)
    axes.plot(0, shown[-1] / peak, "o", color=CORAL, ms=6)
    for at, ((name, *_, color), field) in enumerate(zip(HEARD, fields, strict=True)):
        height, start = -1.4 - 0.42 * at, -1000 * (field.size - 1) / RATE
        axes.plot([start, 0], [height, height], color=color, lw=5, solid_capstyle="butt")
        text = f"{name}: {1000 * field.size / RATE:.0f} ms"
        axes.text(start - 2, height, text, ha="right", va="center", color=color, fontweight="bold")
    axes.set_ylim(-2.5, 1.1)
    axes.set_xlim(-330, 4)
    axes.set_yticks([])
    axes.spines.left.set_visible(False)
    axes.set_xlabel("milliseconds before now")
    figure.suptitle(
        "One block hears the note; three blocks hear that there was another one before",
        x=0.012, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
show(
    figure,
    "Plucked strings at 16 kHz, and to the same scale what the next sample may be computed from.",
    alt="A waveform of 325 ms with three bars below it, 64, 128 and 192 ms long, that all end now.",
)

# %% [markdown]
# Last, this toolkit's own WaveNet, asked in two ways: what its layers *declare*, by arithmetic, and what `rf.of` finds
# by recording the real computation, gates, residuals, skips and all, and walking back through it. Its output at `t`
# describes the sample at `t` and so must end at the sample before.

# %%
for name in ("tiny", "base"):
    model = WaveNet(preset(name)).eval()
    reach = rf.of(model, (4000,))
    (found,) = reach.axes
    assert (found.size, found.offset, found.gap_free) == (model.field.size, model.field.offset, True)
    assert reach.lookahead == (0,)
    assert not reach.unknown
    print(f"{name:4}  declared {model.field}\n      found    {found}")
