"""The one gate for files of tensors: safetensors, with a seal inside that tells damage.

Safetensors hold numbers, names and shapes, so that reading one runs no code; but they do not notice a flipped bit. The
seal, in their metadata, is the SHA-256 of the whole file with zeros in the seal's place. Files are read whole, not
mapped into memory, and their header is held to limits before anything is made of it.
"""

from __future__ import annotations

import json
from collections.abc import Set
from hashlib import sha256
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from shared.errors import InputError, refusal
from shared.limits import limit

SEAL = "seal"
BLANK = "0" * 64
LENGTH = 8  # bytes that say how long the header is
ALIGNED = 64  # where tensors begin, in bytes

SIZE = limit("weights-size", 16e9, "bytes", "of a file of weights")
HEADER = limit("weights-header", 4 * 2**20, "bytes", "of the header of a safetensors file")
TENSORS = limit("weights-tensors", 20_000, "tensors", "in a file of weights")


class DamagedError(InputError):
    """A file that is not as it was written."""


def pack(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """A sealed safetensors file; the same tensors and metadata always give the same bytes.

    >>> import torch
    >>> header, _ = _parts(pack({"a": torch.zeros(2)}, {"format": "pt"}))
    >>> len(json.loads(header)["__metadata__"]["seal"])
    64
    """
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    header, body = _parts(safetensors.torch.save(contiguous))
    entries = {"__metadata__": {SEAL: BLANK, **metadata}, **json.loads(header)}
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(LENGTH + len(text)) % ALIGNED)
    head = len(text).to_bytes(LENGTH, "little") + text
    return b"".join([_with(head, BLANK, _digest(head, body)), body])


def read(path: Path, advice: str, unsealed: Set[str] | None = None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, on the CPU, and its metadata without the seal.

    A file of other programs has no seal. Then its metadata may only have the names in ``unsealed``, or any if that is
    None: a seal whose own name is damaged must still be missed. DamagedError, with the ``advice``, for whatever is not
    as it was written, FileNotFoundError for what is not there, InputError for what is over the limits.
    """
    try:
        SIZE.hold(path, path.stat().st_size, "has {} bytes", "look whether it is the right file")
        content = path.read_bytes()
        header, body = _parts(content)
        HEADER.hold(path, len(header), "has a header of {} bytes", "use a file of plain weights")
        entries: dict[str, Any] = json.loads(header)
        metadata = entries.pop("__metadata__", {})
        TENSORS.hold(path, len(entries), "holds {} tensors", "use a file of plain weights")
        seal = metadata.pop(SEAL, None)
        if seal is None:
            whole = unsealed is None or metadata.keys() <= unsealed
        else:
            whole = seal == _digest(_with(content[: LENGTH + len(header)], seal, BLANK), body)
        if not whole:
            raise ValueError("the seal does not fit")
        return safetensors.torch.load(content), metadata
    except FileNotFoundError:
        raise
    except OSError as error:
        raise refusal(path, f"cannot be read ({error.strerror})", "check its permissions") from None
    except (safetensors.SafetensorError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise DamagedError(f"{path}: damaged or no safetensors file; {advice}") from None


def seal_of(values: dict[str, Any]) -> str:
    """The seal of plain JSON values, which does not depend on how they are laid out."""
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _parts(content: bytes) -> tuple[bytes, memoryview]:
    """The header of a safetensors file, and the bytes of its tensors."""
    end = LENGTH + int.from_bytes(content[:LENGTH], "little")
    if not LENGTH < end <= len(content):
        raise ValueError("shorter than its header says")
    return content[LENGTH:end], memoryview(content)[end:]


def _with(head: bytes, seal: str, other: str) -> bytes:
    """The same with another seal."""
    return head.replace(f'"{SEAL}":"{seal}"'.encode(), f'"{SEAL}":"{other}"'.encode(), 1)


def _digest(head: bytes, body: memoryview) -> str:
    digest = sha256(head)
    digest.update(body)
    return digest.hexdigest()
