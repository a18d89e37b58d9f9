"""Lists and tables that name files or classes: text in UTF-8 of a bounded size; what cannot be read is one line."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

from shared.errors import refusal
from shared.limits import LIST_BYTES, LIST_LINES


def lines_of(path: Path, advice: str) -> list[str]:
    """The lines of a text file, without their ends. Raises InputError, which gives the advice."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # before opening: a named pipe would wait for ever
            raise refusal(path, f"cannot be read (is {'a folder' if path.is_dir() else 'no regular file'})", advice)
        LIST_BYTES.hold(path, status.st_size, "has {} bytes", advice)
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise refusal(path, f"cannot be read ({getattr(error, 'strerror', None) or error})", advice) from None
    LIST_LINES.hold(path, text.count("\n"), "has {} lines", advice)
    return text.split("\n")


def rows_of(path: Path, advice: str, marks: str = ",") -> list[list[str]]:
    """The cells of each line of a CSV file, whose ``mark`` is the first of these that occurs in the file, or the last.

    Raises InputError, which gives the advice.
    """
    lines = lines_of(path, advice)
    mark = next((mark for mark in marks if any(mark in line for line in lines)), marks[-1])
    try:
        return list(csv.reader(lines, delimiter=mark))
    except csv.Error as error:
        raise refusal(path, f"is no table ({error})", advice) from None
