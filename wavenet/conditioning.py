"""What a sound is told besides its own past: whose it is (a label), and what is in it (frames); both together too.

Frame ``j`` is centred at sample ``j · hop``, as in a centred STFT. Frames are encoded at their own rate and brought to
the sample rate by a learned kernel of two frames, shared by all channels: one transposed convolution that starts out
as linear interpolation. It commutes with every 1×1 convolution, so engines may project frames first and interpolate
what comes out; the answer is the same. Outside of what is given, the first and the last frame go on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

MOST_LABELS, MOST_WIDTH, LONGEST_HOP = 100_000, 4096, 65_536


@dataclass(frozen=True, kw_only=True)
class Labels:
    """One of some names for a whole sound: a speaker, an instrument (global conditioning, section 2.5)."""

    tagged = True

    names: tuple[str, ...]
    """All of them, different; their order is that of the weights."""
    width: int = 16
    """Channels of a name's vector."""

    def __post_init__(self):
        if not 1 <= len(self.names) <= MOST_LABELS or len(set(self.names)) < len(self.names):
            raise ValueError(f"labels are 1 to {MOST_LABELS} different names, not {len(self.names)} of them")
        _check("width", self.width, MOST_WIDTH)

    def index(self, name: str) -> int:
        """The number of a name; ValueError says which there are.

        >>> Labels(names=("george", "lucas")).index("lucas")
        1
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise ValueError(f"{name!r} is none of {', '.join(self.names)}") from None


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Features at a lower rate, such as a mel spectrogram (local conditioning, section 2.5)."""

    tagged = True

    channels: int = 80
    """Numbers a frame."""
    hop: int = 200
    """Samples from one frame to the next: 200 is 12.5 ms."""
    width: int = 64
    """Channels after encoding."""
    reach: int = 2
    """Frames on either side that the encoding of one sees."""
    mean: float = 0.0
    """Of the numbers, about; what is given is standardised by it."""
    deviation: float = 1.0
    """Likewise."""

    def __post_init__(self):
        _check("channels", self.channels, MOST_WIDTH)
        _check("hop", self.hop, LONGEST_HOP)
        _check("width", self.width, MOST_WIDTH)
        if not 0 <= self.reach <= 64:
            raise ValueError(f"reach must lie between 0 and 64, not {self.reach}")
        if not (math.isfinite(self.mean) and 0 < self.deviation < math.inf):
            raise ValueError("mean must be finite, deviation finite and above 0")


@dataclass(frozen=True, eq=False)
class Condition:
    """What a batch of sounds is told; a member is None where the model has no use for it."""

    label: Tensor | None = None
    """int64 ``[b]``."""
    frames: Tensor | None = None
    """``[b, channels, f]``, at least one frame."""
    begin: tuple[int, ...] = ()
    """Where the first frame of each is centred, in samples from the first one that is predicted; empty: there."""

    def to(self, device: torch.device) -> Condition:
        """Everything on a device."""
        label, frames = (each if each is None else each.to(device) for each in (self.label, self.frames))
        return replace(self, label=label, frames=frames)

    def expand(self, streams: int) -> Condition:
        """One for each of so many sounds, where there was one for all."""
        label = None if self.label is None else self.label.expand(streams)
        frames = None if self.frames is None else self.frames.expand(streams, -1, -1)
        begin = self.begin * streams if len(self.begin) == 1 else self.begin
        return Condition(label, frames, begin)

    def places(self, start: int) -> list[int]:
        """Where sample number ``start`` of each sound lies, in samples behind its first frame."""
        return [start - begin for begin in self.begin or (0,) * len(self.frames)]

    def later(self, samples: int) -> Condition:
        """The same, as seen from so many samples later."""
        count = 0 if self.frames is None else len(self.frames)
        return replace(self, begin=tuple(each - samples for each in self.begin or (0,) * count))


class Conditioning(nn.Module):
    """A condition, sample by sample: ``conditioning(condition, start, samples) -> [samples, b, width]``, time first.

    >>> conditioning = Conditioning(Labels(names=("a", "b"), width=4), Frames(channels=3, hop=5, width=8))
    >>> told = Condition(torch.tensor([0, 1]), torch.zeros(2, 3, 10))
    >>> conditioning(told, start=-7, samples=50).shape
    torch.Size([50, 2, 12])
    """

    def __init__(self, labels: Labels | None, frames: Frames | None):
        super().__init__()
        self.labels, self.frames = labels, frames
        self.width = (labels.width if labels else 0) + (frames.width if frames else 0)
        self.label = nn.Embedding(len(labels.names), labels.width) if labels else None
        if frames:
            around = nn.Conv1d(frames.channels, frames.width, 2 * frames.reach + 1)
            self.encoder = nn.Sequential(around, nn.ReLU(), nn.Conv1d(frames.width, frames.width, 1))
            later = torch.arange(frames.hop) / frames.hop
            self.kernel = nn.Parameter(torch.stack([1 - later, later]))
            """How much of a frame, and of the next one, each sample between them takes: ``[2, hop]``."""

    def forward(self, condition: Condition, start: int, samples: int) -> Tensor:
        """The condition at samples ``start … start + samples``, counted from the first one that is predicted."""
        self.check(condition)
        parts = []
        if self.label is not None:
            parts.append(self.label(condition.label)[None].expand(samples, -1, -1))
        if self.frames:
            encoded, skipped = self.encoded(condition, start, samples)
            earlier, later = self.kernel[:, :, None, None]
            between = (earlier * encoded[:-1, None] + later * encoded[1:, None]).flatten(0, 1)
            parts.append(torch.stack([between[at : at + samples, row] for row, at in enumerate(skipped)], dim=1))
        return torch.cat(parts, dim=-1)

    def encoded(self, condition: Condition, start: int, samples: int) -> tuple[Tensor, list[int]]:
        """The encoded frames that those samples need, ``[f, b, width]``, and how far into them each sound starts."""
        hop = self.frames.hop
        places = condition.places(start)
        spans = [window(self.frames, place, samples) for place in places]
        seen = torch.stack([torch.arange(*span, device=condition.frames.device) for span in spans])
        seen = seen.clamp(0, condition.frames.shape[2] - 1)[:, None].expand(-1, self.frames.channels, -1)
        frames = (condition.frames.gather(2, seen) - self.frames.mean) / self.frames.deviation
        return self.encoder(frames).permute(2, 0, 1), [place % hop for place in places]

    def check(self, condition: Condition | None) -> None:
        """ValueError where a condition does not fit the model."""
        given = condition or Condition()
        for needed, refused, wanted, there in (
            ("a label", "label", self.labels, given.label),
            ("frames", "frames", self.frames, given.frames),
        ):
            if (wanted is None) != (there is None):
                raise ValueError(f"the model {f'needs {needed}' if wanted else f'takes no {refused}'}")
        if self.frames and (given.frames.shape[1] != self.frames.channels or not given.frames.shape[2]):
            shape = tuple(given.frames.shape)
            raise ValueError(f"frames are [b, {self.frames.channels}, 1 or more], not {list(shape)}")


def window(frames: Frames, start: int, samples: int) -> tuple[int, int]:
    """Which frames, from … to, a stretch of a recording needs for its condition: numbers, from before the first on.

    >>> window(Frames(hop=100, reach=2), start=250, samples=100)
    (0, 7)
    """
    first = start // frames.hop - frames.reach
    return first, first + spanned(frames.hop, samples) + 2 * frames.reach


def spanned(hop: int, samples: int) -> int:
    """How many frames so many samples may lie between, wherever the first one lies.

    >>> spanned(100, 1), spanned(100, 101), spanned(100, 102)
    (2, 3, 4)
    """
    return (max(1, samples) + hop - 2) // hop + 2


def _check(name: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise ValueError(f"{name} must lie between 1 and {most}, not {value}")
