"""Progress on stderr: a bar on a terminal, a plain line now and then elsewhere, nothing when asked to be quiet."""

import sys
import time
from typing import Self

from tqdm import tqdm

LINE_EVERY = 30.0  # seconds without a bar or another line


class ProgressLine:
    """A bar over a fraction of work, with remarks above it.

    >>> with ProgressLine("training", quiet=True) as line:
    ...     line.update(0.5, "3.21 bits")
    ...     line.say("half way")
    """

    def __init__(self, title: str, quiet: bool = False):
        self.title, self.quiet, self._said = title, quiet, time.monotonic()
        self.bar = tqdm(
            total=1000,
            desc=title,
            file=sys.stderr,
            disable=True if quiet else None,  # None: off where stderr is no terminal
            bar_format="{desc} {percentage:3.0f}% {bar} {postfix}",
            leave=False,
        )

    def update(self, fraction: float, note: str = "") -> None:
        """Move the bar to ``fraction`` and show ``note`` behind it."""
        if not self.bar.disable:
            self.bar.set_postfix_str(note, refresh=False)
            self.bar.n = min(1000, int(1000 * fraction))
            self.bar.update(0)
        elif time.monotonic() - self._said > LINE_EVERY:
            self.say(f"{self.title} {fraction:.0%} {note}".rstrip())

    def say(self, text: str) -> None:
        """A line that stays."""
        self._said = time.monotonic()
        if not self.quiet:
            tqdm.write(text, file=sys.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()


def clock(seconds: float | None) -> str:
    """Minutes and seconds.

    >>> clock(75), clock(3700)
    ('1:15', '1:01:40')
    """
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
