"""A receptive field along one axis is three numbers: output ``o`` sees inputs ``o·jump + offset … + size − 1``.

Size, jump and offset are closed under composition, so a stack of any depth costs one fold (Araujo, Norris and
Sim, "Computing receptive fields of convolutional neural networks", Distill 2019, derive the recurrences).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce


@dataclass(frozen=True)
class Window:
    """What one output sees: ``size`` inputs, the first at ``offset``, moving ``jump`` inputs an output.

    >>> Window.conv(3, dilation=4, padding=4)
    Window(size=9, jump=1, offset=-4)
    """

    size: int = 1
    jump: int = 1
    offset: int = 0

    @classmethod
    def conv(cls, kernel_size: int, *, stride: int = 1, dilation: int = 1, padding: int = 0) -> Window:
        """The window of one convolution or pooling; ``padding`` is what stands before the first input."""
        return cls(size=(kernel_size - 1) * dilation + 1, jump=stride, offset=-padding)

    @classmethod
    def causal(cls, kernel_size: int, dilation: int = 1) -> Window:
        """The window of a causal convolution: it ends at the present.

        >>> Window.causal(2, dilation=8)
        Window(size=9, jump=1, offset=-8)
        """
        return cls.conv(kernel_size, dilation=dilation, padding=(kernel_size - 1) * dilation)

    def then(self, after: Window) -> Window:
        """This window seen through a later layer's.

        >>> Window.conv(3, stride=2, padding=1).then(Window.conv(3, padding=1))
        Window(size=7, jump=2, offset=-3)
        """
        return Window(
            size=self.size + (after.size - 1) * self.jump,
            jump=self.jump * after.jump,
            offset=self.offset + after.offset * self.jump,
        )

    @property
    def history(self) -> int:
        """How many inputs before its own position output 0 sees."""
        return max(0, -self.offset)

    @property
    def lookahead(self) -> int:
        """How many inputs after its own position output 0 sees; 0 for a causal network."""
        return max(0, self.offset + self.size - 1)


def through(*windows: Window) -> Window:
    """Layers in sequence, the first named being nearest the input.

    >>> through(*(Window.causal(2, d) for d in (1, 2, 4)))
    Window(size=8, jump=1, offset=-7)
    """
    return reduce(Window.then, windows, Window())


def stack(kernel_size: int, dilations: Sequence[int], *, causal: bool = False) -> Window:
    """The window of a stack of dilated convolutions that keep the resolution.

    >>> stack(3, [1, 2, 4, 8])
    Window(size=31, jump=1, offset=-15)
    >>> stack(2, [2**i for i in range(10)] * 3, causal=True).size   # WaveNet: 0.19 s at 16 kHz
    3070
    """
    reach = (kernel_size - 1) * sum(dilations)
    return Window(size=reach + 1, offset=-reach if causal else -sum((kernel_size - 1) * d // 2 for d in dilations))
