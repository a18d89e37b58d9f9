"""Is a JPEG whole? libjpeg decodes a file that was damaged in the middle without a word, and shows rubbish.

Its blocks are codes of varying length, so a damaged stretch loses step, and the last block then ends before the
data do, or after. Both can be seen from outside: in a whole file, the last block needs the last bytes, so that the
picture changes when they are taken away; and it needs no others, so that further bytes change nothing. Of random
damage of 60 bytes about three quarters is found so; restart markers, which bring a decoder back into step, hide it.
Progressive files, whose last bytes may refine what needs no refinement, cannot be told.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)  # marks that begin a frame of this kind
TAIL = 16  # bytes taken away, or added
FILL = b"\x55" * TAIL  # 01010101, which means something in most codes


def is_whole(data: bytes, decode: Callable[[bytes], np.ndarray | None], shown: np.ndarray) -> bool:
    """Whether the blocks of a JPEG file end where its data end; True where that cannot be told.

    ``decode`` gives the pixels of a file, or None where it cannot; ``shown`` are those of ``data``. It is called twice.
    """
    end = end_of_data(data)
    if end is None or end < 4 * TAIL or _is_mid_grey(shown):
        return True
    shorter, longer = decode(data[: end - TAIL] + data[end:]), decode(data[:end] + FILL + data[end:])
    early = shorter is not None and np.array_equal(shorter, shown)
    late = longer is not None and not np.array_equal(longer, shown)
    return not (early or late)


def end_of_data(data: bytes) -> int | None:
    """Where the mark that ends the picture begins (FF D9); None where the file is no JPEG of a single scan.

    >>> end_of_data(bytes.fromhex("ffd8 ffda 0002 0102ff00 03 ffd9 aabb"))
    11
    """
    at = 2
    scans = 0
    while at + 2 <= len(data) and data[at] == 0xFF:
        mark = data[at + 1]
        if mark == 0xD9:
            return at if scans == 1 else None
        if mark in PROGRESSIVE:
            return None
        if mark == 0xFF:  # padding
            at += 1
        elif mark == 1 or 0xD0 <= mark <= 0xD7:  # marks without a length
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            if mark == 0xDA:
                scans += 1
                if (at := _after_codes(data, at)) < 0:
                    return None
    return None


def _after_codes(data: bytes, at: int) -> int:
    """The next mark behind coded data: FF 00 is a coded FF, FF D0 to FF D7 are restarts. -1 where there is none."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        mark = data[at + 1]
        if mark and mark != 0xFF and not 0xD0 <= mark <= 0xD7:
            return at
        at += 1 if mark == 0xFF else 2
    return -1


def _is_mid_grey(pixels: np.ndarray) -> bool:
    """libjpeg paints blocks without data in this grey, so a picture that ends in it tells nothing."""
    corner = pixels[-8:, -8:]
    return bool((np.abs(corner.astype(np.int16) - 128) <= 2).all())
