"""Ctrl-C and SIGTERM ask; the loop answers when its step is done, so nothing is torn."""

import signal
from types import TracebackType
from typing import Self


class Interruption:
    """Within ``with``, the first SIGINT or SIGTERM only sets ``requested``; a second one interrupts at once.

    >>> with Interruption() as interruption:
    ...     interruption.requested
    False
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Self:
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        except ValueError:  # not the main thread: whoever owns that decides about signals
            self._previous.clear()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, *_: object) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
