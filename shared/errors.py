"""The one exception that is a message to the user: what was given, what is wrong with it, what to do."""

from pathlib import Path


class InputError(Exception):
    """Something the user gave cannot be used. The text is one line and names the thing, the reason, the way out.

    Command lines print it as ``wavenet: error: TEXT`` and end with exit code 1; no traceback. Line breaks and terminal
    codes, which names of files can hold, are written out.
    """

    def __str__(self) -> str:
        return shown(super().__str__())


def refusal(path: Path, reason: str, advice: str) -> InputError:
    """The error that refuses a file or folder: one line that names it, the reason and the way out."""
    return InputError(f"{shown(path)}: {reason}; {advice}")


def shown(path: Path | str) -> str:
    r"""A path on one line, even where its name holds line breaks or terminal codes.

    >>> shown("a\nb.wav")
    'a\\nb.wav'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(path))
