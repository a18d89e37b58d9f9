"""Networks in a line of text: ``3@1,2,4,8`` is a stack of kernel 3 at those dilations.

    2@1,2,4,8*3 causal      the stack three times over, seeing only the past
    7/2 > 3/2 > 3*4         in sequence: a 7 of stride 2, a 3 of stride 2, four plain 3s
    3 > (1 | 3@6 | global)  branches side by side, one of which sees everything
    (3 > 3/2)*2             anything in brackets, twice

``kernel [@rate,rate…] [/stride] [*times] [causal]`` are layers; the stride is each one's. A pooling is its kernel and
stride. Layers are centred unless causal.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import or_, rshift
from typing import TypeVar

from shared.rf.field import Field
from shared.rf.gridding import verdict
from shared.rf.path_counts import Paths, Ways
from shared.rf.spread import Spread
from shared.rf.stacks import conv, global_pool

LONGEST, MOST_LAYERS, DEEPEST = 2**18, 2000, 20  # text from elsewhere must not exhaust time or memory

T = TypeVar("T", Field, Paths, Ways, Spread)


@dataclass(frozen=True)
class Layer:
    """One convolution or pooling."""

    kernel_size: int
    rate: int = 1
    stride: int = 1
    causal: bool = False

    @property
    def field(self) -> Field:
        """What it reads."""
        return conv(self.kernel_size, self.rate, stride=self.stride, causal=self.causal)


@dataclass(frozen=True)
class Branches:
    """Networks side by side."""

    networks: tuple[Network, ...]


Network = tuple["Layer | Branches | None", ...]
"""Parts in sequence, the first nearest the input; None is the branch that sees everything."""


@dataclass(frozen=True)
class Spec:
    """A network as text; ``parse`` makes it, or says in a ValueError what is wrong with the text.

    >>> parse("3 > (1 | 3@6 | global)").field
    <15 [-7..+7], jump 1, 60% of the span is read, smallest path 3, plus a global branch>
    >>> parse("2@1,2,4*2 causal").field == parse("2@1,2,4,1,2,4 causal").field
    True
    >>> parse("3@2,4,8").verdict
    'gridded: rate 2 exceeds the 1-wide field of the smaller rates'
    """

    text: str
    network: Network
    field: Field
    """What one output reads."""

    @property
    def paths(self) -> Paths:
        """How many paths lead from each input."""
        return _folded(self.network, Paths.of, Paths())

    @property
    def work(self) -> int:
        """About how many additions it takes to count the paths.

        >>> parse("3@1,2 > (1 | 3)").work
        90
        """
        return self.field.size * _taps(self.network)

    @property
    def ways(self) -> Ways:
        """The same, apart for each way through the branches; ValueError if they are too many."""
        return _folded(self.network, Ways.of, Ways())

    @property
    def spread(self) -> Spread:
        """How far the paths spread."""
        return _folded(self.network, Spread.of, Spread())

    @property
    def verdict(self) -> str:
        """Gap-free or gridded, in a line; of layers in sequence it names the rate at fault, in inputs."""
        if all(isinstance(part, Layer) for part in self.network):
            kernels, rates, jump = [], [], 1
            for layer in self.network:
                kernels.append(layer.kernel_size)
                rates.append(layer.rate * jump)
                jump *= layer.stride
            return verdict(kernels, rates)
        widest = self.field.widest_gap
        return f"gridded: the widest gap is {widest}" if widest else "gap-free"


def _taps(network: Network) -> int:
    total = 0
    for part in network:
        if isinstance(part, Branches):
            total += sum(map(_taps, part.networks))
        elif part:
            total += part.kernel_size
    return total


def parse(text: str) -> Spec:
    """Read a network; the module says how it is written."""
    reader = _Reader(text)
    network = reader.network(DEEPEST)
    if reader.next:
        raise ValueError(f"{reader.next[:12]!r} is not expected there")
    if max(_size(network)) > LONGEST:
        raise ValueError(f"its field is wider than {LONGEST:,}, or its stride is")
    return Spec(text, network, _folded(network, lambda field: field, Field()))


class _Reader:
    """A parser by descent: one method a rule, one token ahead."""

    def __init__(self, text: str):
        self.tokens = re.findall(r"\d+|[a-z]+|\S", text)[::-1]

    @property
    def next(self) -> str:
        return self.tokens[-1] if self.tokens else ""

    def took(self, token: str) -> bool:
        if self.next != token:
            return False
        self.tokens.pop()
        return True

    def number(self, what: str) -> int:
        if not self.next.isdecimal() or len(self.next) > 6 or not int(self.next):
            found = repr(self.next[:12]) if self.next else "the end"
            raise ValueError(f"{what} is a number from 1 to 999,999, not {found}")
        return int(self.tokens.pop())

    def network(self, deepest: int) -> Network:
        if not deepest:
            raise ValueError(f"brackets are more than {DEEPEST} deep")
        networks = [self.sequence(deepest)]
        while self.took("|"):
            networks.append(self.sequence(deepest))
        return networks[0] if len(networks) == 1 else (Branches(tuple(networks)),)

    def sequence(self, deepest: int) -> Network:
        parts = self.part(deepest)
        while self.took(">"):
            parts += self.part(deepest)
        return self.limited(parts)

    def part(self, deepest: int) -> Network:
        if self.took("global"):
            return (None,)
        if self.took("("):
            inner = self.network(deepest - 1)
            if not self.took(")"):
                raise ValueError("a bracket is not closed")
            return self.times(inner)
        return self.layers()

    def layers(self) -> Network:
        kernel_size = self.number("a kernel")
        rates = [self.number("a rate")] if self.took("@") else [1]
        while self.took(","):
            rates.append(self.number("a rate"))
        stride = self.number("a stride") if self.took("/") else 1
        layers = self.times(tuple(Layer(kernel_size, rate, stride) for rate in rates))
        if self.took("causal"):
            layers = tuple(Layer(each.kernel_size, each.rate, each.stride, causal=True) for each in layers)
        return layers

    def times(self, network: Network) -> Network:
        times = self.number("how many times") if self.took("*") else 1
        return self.limited(network, times) * times

    def limited(self, network: Network, times: int = 1) -> Network:
        if _layers(network) * times > MOST_LAYERS:
            raise ValueError(f"it has more than {MOST_LAYERS:,} layers")
        return network


def _layers(network: Network) -> int:
    return sum(sum(map(_layers, part.networks)) if isinstance(part, Branches) else 1 for part in network)


def _size(network: Network) -> tuple[int, int]:
    """A size that the field does not exceed, and its jump: known before a bit of it is stored."""
    size, jump = 1, 1
    for part in network:
        if isinstance(part, Layer):
            width, stride = (part.kernel_size - 1) * part.rate + 1, part.stride
        elif part is None:
            width, stride = 1, 1
        else:
            inner = [_size(each) for each in part.networks]
            width, stride = sum(each for each, _ in inner), max(each for _, each in inner)
        size, jump = size + (width - 1) * jump, jump * stride
    return size, jump


def _folded(network: Network, leaf: Callable[[Field], T], nothing: T) -> T:
    """The network in an algebra that has sequences and branches."""

    def value(part: Layer | Branches | None) -> T:
        if isinstance(part, Branches):
            return reduce(or_, (_folded(each, leaf, nothing) for each in part.networks))
        return leaf(part.field if part else global_pool)

    return reduce(rshift, map(value, network), nothing)
