"""The one way to write a file that must not be lost: aside, fsync, rename, fsync the folder.

At every instant, whatever kills the process, the name holds either the whole old file or the whole new one.
"""

import contextlib
import os
import tempfile
from pathlib import Path

from shared.errors import InputError


def write_file(path: Path, content: bytes | str) -> None:
    """Replace ``path`` by ``content`` in one step; raise InputError, with the old file intact, if that fails."""
    aside = None
    try:
        if isinstance(content, str):
            content = content.encode()
        descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(aside, 0o666 & ~umask)  # mkstemp's files are for their owner's eyes only
        os.replace(aside, path)
        _sync_folder(path.parent)
    except (OSError, ValueError) as error:
        if aside is not None:
            with contextlib.suppress(OSError):
                os.unlink(aside)
        raise InputError(
            f"{path}: cannot be written ({getattr(error, 'strerror', error)}); what was there is untouched"
        ) from None


def sweep(folder: Path) -> None:
    """Remove what a killed ``write_file`` left beside its target."""
    for left in folder.glob(".*.part"):
        left.unlink(missing_ok=True)


def numbered(path: Path) -> Path:
    """The path itself, or the first of ``path-2``, ``path-3`` … that does not exist."""
    candidate, at = path, 2
    while candidate.exists():
        candidate, at = path.with_name(f"{path.stem}-{at}{path.suffix}"), at + 1
    return candidate


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder, and renames durably without
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
