"""Random small networks of everything that moves, mixes or resizes: drawn by a seed, the same every time."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CONVOLUTIONS = {1: (nn.Conv1d, nn.ConvTranspose1d), 2: (nn.Conv2d, nn.ConvTranspose2d)}
POOLS = {1: (nn.MaxPool1d, nn.AvgPool1d), 2: (nn.MaxPool2d, nn.AvgPool2d)}
SMOOTH = {1: "linear", 2: "bilinear"}


class Apply(nn.Module):
    """A function as a module, with modules of its own."""

    def __init__(self, function: Callable[..., Tensor], *inner: nn.Module):
        super().__init__()
        self.function, self.inner = function, nn.ModuleList(inner)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.inner)


@dataclass(frozen=True)
class Site:
    """Where a step is to be drawn."""

    dice: Random
    shape: tuple[int, ...]
    axes: int
    depth: int


def draw(seed: int, axes: int) -> tuple[nn.Module, tuple[int, ...]]:
    """A network and the shape of one item."""
    dice = Random(seed)
    shape = (dice.choice([1, 2, 4]), *(dice.randint(8, 14 if axes == 1 else 9) for _ in range(axes)))
    return _chain(dice, shape, axes, length=dice.randint(2, 5), depth=2).eval(), shape


def _chain(dice: Random, shape: tuple[int, ...], axes: int, length: int, depth: int) -> nn.Sequential:
    steps: list[nn.Module] = []
    while len(steps) < length:
        step = dice.choice(STEPS)(Site(dice, shape, axes, depth))
        if step is None:
            continue
        try:
            with torch.no_grad():
                result = step.eval()(torch.zeros(2, *shape)).shape[1:]
        except (RuntimeError, ValueError):  # too small for this step by now
            continue
        if len(result) == axes + 1 and min(result[1:]) >= 2 and max(result[1:]) <= 24 and result[0] <= 12:
            steps.append(step)
            shape = tuple(result)
    return nn.Sequential(*steps)


def convolution(at: Site) -> nn.Module:
    groups = at.dice.choice([each for each in (1, 1, 2, 4) if at.shape[0] % each == 0])
    mode = at.dice.choice(["zeros", "zeros", "reflect", "replicate", "circular"])
    settings = {
        "stride": at.dice.randint(1, 2),
        "dilation": at.dice.randint(1, 3),
        "padding": at.dice.randint(0, 3),
        "groups": groups,
    }
    return CONVOLUTIONS[at.axes][0](
        at.shape[0], groups * at.dice.randint(1, 2), at.dice.randint(1, 4), padding_mode=mode, **settings
    )


def transposed(at: Site) -> nn.Module:
    stride = at.dice.randint(1, 3)
    groups = at.dice.choice([each for each in (1, 2) if at.shape[0] % each == 0])
    settings = {"stride": stride, "dilation": at.dice.randint(1, 2), "padding": at.dice.randint(0, 1), "groups": groups}
    return CONVOLUTIONS[at.axes][1](
        at.shape[0],
        groups * at.dice.randint(1, 2),
        at.dice.randint(1, 4),
        output_padding=at.dice.randrange(stride),
        **settings,
    )


def pooling(at: Site) -> nn.Module:
    kernel = at.dice.randint(2, 3)
    settings = {"stride": at.dice.randint(1, 3), "padding": at.dice.randint(0, 1), "ceil_mode": at.dice.random() < 0.3}
    return at.dice.choice(POOLS[at.axes])(kernel, **settings)


def adaptive(at: Site) -> nn.Module:
    pool = F.adaptive_avg_pool1d if at.axes == 1 else F.adaptive_avg_pool2d
    size = at.dice.randint(2, 5)
    return Apply(lambda x: pool(x, size))


def interpolation(at: Site) -> nn.Module:
    mode = at.dice.choice(["nearest", "nearest-exact", SMOOTH[at.axes], *(["bicubic"] if at.axes == 2 else [])])
    corners = {} if "nearest" in mode else {"align_corners": at.dice.random() < 0.5}
    size = [max(2, each + at.dice.randint(-4, 6)) for each in at.shape[1:]]
    how = at.dice.choice([{"scale_factor": 2.0}, {"scale_factor": 1.5}, {"size": size}, {"size": size}])
    return Apply(lambda x: F.interpolate(x, mode=mode, **how, **corners))


def padding(at: Site) -> nn.Module:
    mode = at.dice.choice(["constant", "reflect", "replicate", "circular"])
    low = -1 if mode == "constant" else 0
    sides = [at.dice.randint(low, 3) for _ in range(2 * at.axes)]
    return Apply(lambda x: F.pad(x, sides, mode=mode))


def gate(at: Site) -> nn.Module:
    conv = CONVOLUTIONS[at.axes][0](at.shape[0], 2 * at.shape[0], 3, padding=2, dilation=2)

    def run(x: Tensor, conv: nn.Module) -> Tensor:
        filter, gate = conv(x).chunk(2, dim=1)
        return x + torch.tanh(filter) * torch.sigmoid(gate)

    return Apply(run, conv)


def branches(at: Site) -> nn.Module | None:
    """Two ways side by side, cut to the smaller, joined or added."""
    if not at.depth:
        return None
    ways = [_chain(at.dice, at.shape, at.axes, at.dice.randint(1, 2), at.depth - 1) for _ in range(2)]
    joined = at.dice.random() < 0.5

    def run(x: Tensor, *ways: nn.Module) -> Tensor:
        results = [way(x) for way in ways]
        sizes = [min(pair) for pair in zip(*(each.shape[2:] for each in results), strict=True)]
        cut = tuple(slice(size) for size in sizes)
        results = [each[(slice(None), slice(None), *cut)] for each in results]
        if joined or results[0].shape[1] != results[1].shape[1]:
            return torch.cat(results, dim=1)
        return results[0] + results[1]

    return Apply(run, *ways)


def shuffle(at: Site) -> nn.Module | None:
    if at.shape[0] % 2:
        return None
    kinds = [
        lambda x: (
            F.channel_shuffle(x, 2) if x.ndim == 4 else x.view(len(x), 2, -1, x.shape[2]).transpose(1, 2).flatten(1, 2)
        )
    ]
    if at.axes == 1:
        kinds.append(lambda x: x.view(len(x), -1, 2, x.shape[2]).transpose(2, 3).reshape(len(x), x.shape[1] // 2, -1))
    elif at.shape[0] % 4 == 0:
        kinds.append(nn.PixelShuffle(2))
    return Apply(at.dice.choice(kinds))


def movement(at: Site) -> nn.Module:
    dim, by = at.dice.randint(2, at.axes + 1), at.dice.randint(1, 3)
    order = list(range(at.shape[dim - 1]))
    at.dice.shuffle(order)
    return Apply(at.dice.choice([
        lambda x: x.flip(dim), lambda x: x.roll(by, dim), lambda x: x.narrow(dim, by, x.shape[dim] - by),
        lambda x: x[..., ::2], lambda x: x.index_select(dim, torch.tensor(order, device=x.device)),
        lambda x: x[:, :, order] if dim == 2 else x, lambda x: x.repeat_interleave(2, dim),
        lambda x: torch.cat([x[..., by:], x[..., :1]], dim=-1), lambda x: x.unfold(-1, 2, 1).amax(-1),
    ]))  # fmt: skip


def writing(at: Site) -> nn.Module:
    """In place, and into views."""
    by = at.dice.randint(1, 3)

    def delayed(x: Tensor) -> Tensor:
        y = x.clone()
        y[..., by:] += x[..., :-by]
        return y

    def framed(x: Tensor) -> Tensor:
        y = x.new_zeros(*x.shape[:-1], x.shape[-1] + by)
        middle = y.transpose(1, -1)[:, by:]
        middle.copy_(x.transpose(1, -1))
        y[:, 0].relu_()
        return y.view(y.shape)

    return Apply(at.dice.choice([delayed, framed]))


def mixing(at: Site) -> nn.Module:
    """Whole at.axes: of channels, or of places."""
    channels = at.shape[0]
    dim = at.dice.randint(1, at.axes + 1)
    return at.dice.choice([
        lambda: nn.Sequential(*[(nn.BatchNorm1d, nn.BatchNorm2d)[at.axes - 1](channels), nn.ReLU(inplace=True)]),
        lambda: nn.GroupNorm(2 if channels % 2 == 0 else 1, channels),
        lambda: Apply(lambda x: F.instance_norm(x)),
        lambda: Apply(lambda x: x.softmax(dim)),
        lambda: Apply(lambda x: x.cumsum(dim)),
        lambda: Apply(lambda x: x + x.mean(dim, keepdim=True)),
        lambda: Apply(lambda x, layer: layer(x.movedim(1, -1)).movedim(-1, 1), nn.Linear(channels, 3)),
        lambda: Apply(lambda x, layer: layer(x.movedim(1, -1)).movedim(-1, 1), nn.LayerNorm(channels)),
        lambda: Apply(
            lambda x, conv: x * conv(x.mean(-1, keepdim=True)).sigmoid(),
            CONVOLUTIONS[at.axes][0](channels, channels, 1),
        ),
    ])()  # fmt: skip


STEPS = [convolution] * 5 + [
    transposed,
    pooling,
    interpolation,
    padding,
    gate,
    branches,
    branches,
    shuffle,
    movement,
] * 2
STEPS += [adaptive, writing, writing, mixing]
