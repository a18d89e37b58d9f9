"""The one gate for ``.pth`` files: pickles, of which nothing but plain values and tensors is ever taken.

Nothing in them is run. Files of today are zip archives: they must be stored as torch stores them, and every checksum is
verified. Older ones are a bare pickle without any; but the beginning of their SHA-256 may stand at the end of their
name, as in torchvision's, and is verified then.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from shared.errors import InputError, refusal
from shared.sealed import SIZE, TENSORS

NAMED = re.compile(r"-(?=[0-9]*[a-f])([0-9a-f]{8,64})\.pth$")  # digits alone are rather a date


def read_pth(path: Path) -> Any:
    """What the file holds, on the CPU; InputError for what is damaged, or holds more than values and tensors."""
    SIZE.hold(path, path.stat().st_size, "has {} bytes", "use a file of plain weights")
    try:
        _check_name(path)
        if zipfile.is_zipfile(path):
            _check_archive(path)
        # torchvision's training script saves its arguments beside the weights: a Namespace only holds values
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how else such a file might be loaded
            return torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except OSError as error:
        raise refusal(path, f"cannot be read ({error.strerror or error})", "check its permissions") from None
    except Exception:  # a damaged or hostile pickle can raise anything
        raise refusal(
            path,
            "damaged, or holds more than tensors, which is not read because it could run code",
            "download it again, or save the weights alone with torch.save(model.state_dict(), PATH)",
        ) from None


def _check_name(path: Path) -> None:
    if named := NAMED.search(path.name):
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if not found.startswith(named[1]):
            raise refusal(
                path, f"damaged, its SHA-256 begins with {found[: len(named[1])]}",
                "download it again, or give it another name if it was changed on purpose",
            )  # fmt: skip


def _check_archive(path: Path) -> None:
    """As torch writes it: nothing compressed, nothing twice, nothing larger than the file, all checksums right."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        TENSORS.hold(path, len(entries), "holds {} entries", "use a file of plain weights")
        plain = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
        once = len({entry.filename for entry in entries}) == len(entries)
        fits = sum(entry.file_size for entry in entries) <= path.stat().st_size
        if not (plain and once and fits):
            raise refusal(path, "not an archive as torch.save writes it", "save it again with torch.save")
        if archive.testzip() is not None:
            raise refusal(path, "damaged, a checksum is wrong", "download it again")
