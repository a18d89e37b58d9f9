"""One writer at a time: a lock on a folder or on an open file, which its process cannot leave behind.

It is the system's own (``flock``) and lies on the thing itself. A lock file beside it would have to be removed again,
also after a kill. Where there is no such lock, as on Windows and some network file systems, nothing is locked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.errors import refusal

try:
    import fcntl
except ImportError:
    fcntl = None


def lock(descriptor: int) -> bool:
    """Lock what is open until it is closed, by this process or with its end; False where somebody else has done so."""
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            pass
    return True


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Within, the folder is there and this is the only process that comes in; InputError at once for any other.

    A folder that had to be made, and that still is empty in the end, goes again.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    descriptor = _locked(folder)
    try:
        yield
    finally:
        for each in missing:
            with suppress(OSError):  # it is not empty
                each.rmdir()
        if descriptor is not None:
            os.close(descriptor)


def _locked(folder: Path) -> int | None:
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise refusal(folder, "is a file", "choose a folder") from None
        except OSError as error:
            reason = f"cannot be made ({error.strerror})"
            raise refusal(folder, reason, "choose another place") from None
        if fcntl is None:
            return None
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # whoever made it has just removed it
            continue
        if not lock(descriptor):
            os.close(descriptor)
            raise refusal(folder, "another process is writing to it", "wait for it to end, or choose another folder")
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), folder.stat()):
                return descriptor
        os.close(descriptor)  # of a folder that is gone since
