"""Where a receptive field comes from: every layer that widens it or thins the positions out, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from shared.rf.field import Field, percent
from shared.rf.network import Network
from shared.rf.pull import known
from shared.rf.reach import Reach, of
from shared.rf.rules import LOCAL
from shared.rf.trace import Call, Value


@dataclass(frozen=True)
class Layer:
    """One operation on the way, and what the middle of its result reads of the input."""

    path: str
    kind: str
    """The class of the module, or the operation's own name where it is in none."""
    axes: tuple[Field, ...]
    is_global: bool = False
    """Whether this very operation reads the whole input."""


@dataclass(frozen=True)
class Explanation:
    """The layers that matter, input first; printed, it is a table."""

    layers: tuple[Layer, ...]

    def __str__(self) -> str:
        rows = [("layer", "kind", "size", "jump", "read")]
        for layer in self.layers:
            fields = layer.axes
            alike = all(each == fields[0] for each in fields)
            shown = fields[:1] if alike else fields
            if layer.is_global:
                rows.append((layer.path, layer.kind, "whole", "", ""))
            else:
                rows.append((
                    layer.path, layer.kind, *(" × ".join(map(text, shown)) for text in (_size, _jump, _read))
                ))  # fmt: skip
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        left = 2  # columns of text; the others are numbers
        lines = [
            "  ".join(
                cell.ljust(width) if at < left else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        return "\n".join(line.rstrip() for line in lines)


def explain(model: nn.Module, shape: Sequence[int] | Tensor, *, output: str | int = 0) -> Explanation:
    """The layers that the middle output's field comes from, each with the field up to it; arguments as of ``of``.

    Layers that read one position and move on by one are left out: 1×1 convolutions, norms in evaluation, activations.

    >>> print(explain(nn.Sequential(nn.Conv1d(1, 4, 7), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(4, 1, 3)), (1, 100)))
    layer  kind       size  jump  read
    0      Conv1d        7     1  100%
    2      MaxPool1d     8     2  100%
    3      Conv1d       12     2  100%
    """
    reach = of(model, shape, output=output)
    network = reach.network
    fields = _Fields(network)
    layers = []
    for call in network.require(reach.position, bounded=False).calls:
        is_global = call in network.whole_readers
        if is_global or fields.change(call):
            kind = network.trace.kinds.get(call.path, "") if call.path else ""
            layers.append(Layer(call.path or call.name, kind or call.name, fields.of(call.outputs[0]), is_global))
    return Explanation(tuple(layers))


class _Fields:
    """What the middle of any value reads, each asked once."""

    def __init__(self, network: Network):
        self.network = network
        self.known = {network.trace.input: (Field(),) * len(network.axes)}

    def of(self, value: Value) -> tuple[Field, ...]:
        if value not in self.known:
            trace = replace(self.network.trace, outputs={"": value})
            network = Network(trace, "", self.network.axes, self.network.whole_readers)
            self.known[value] = Reach(network).finite.axes
        return self.known[value]

    def change(self, call: Call) -> bool:
        """Whether size or jump of the result are others than those of every argument."""
        if call.pointwise or call.name in LOCAL or not known(call):
            return False
        after = _form(self.of(call.outputs[0]))
        return all(_form(self.of(value)) != after for value in call.tensors if value.tracked)


def _form(fields: tuple[Field, ...]) -> list[tuple[int, int]]:
    return [(each.size, each.jump) for each in fields]


def _size(each: Field) -> str:
    return str(each.size)


def _jump(each: Field) -> str:
    return str(each.jump)


def _read(each: Field) -> str:
    return percent(each.coverage)
