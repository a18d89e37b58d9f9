"""The one exception that is a message to the user: what was given, what is wrong with it, what to do."""

from pathlib import Path


class InputError(Exception):
    """Something the user gave cannot be used. The text is one line and names the thing, the reason, the way out.

    Command lines print it as ``wavenet: error: TEXT`` and end with exit code 1; no traceback.
    """


def refusal(path: Path, reason: str, advice: str) -> InputError:
    """The error that refuses a file or folder: one line that names it, the reason and the way out."""
    return InputError(f"{shown(path)}: {reason}; {advice}")


def shown(path: Path | str) -> str:
    """A path on one line, even where its name holds line breaks or terminal codes."""
    name = str(path)
    return name if name.isprintable() else name.encode("unicode_escape").decode("ascii")
