"""How numba makes machine code of the sampler's loop, and keeps it for the next process."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numba

from wavenet import linear_prediction
from wavenet.distributions import grid, mixture

# numba asks only a function's own file whether its cache is fresh; with all sources in the name, a change is a new name
PARTS = ("machine_code.py", "kernels.py", "choosing.py", "expecting.py", "vectors.py")
ELSEWHERE = (mixture, grid, linear_prediction)
SOURCES = [*map(Path(__file__).with_name, PARTS), *(Path(module.__file__) for module in ELSEWHERE)]
STAMP = sha256(b"".join(source.read_bytes() for source in SOURCES)).hexdigest()[:12]


def compiled(function: Callable) -> Callable:
    """Machine code, kept for the next process where there is a place to keep it."""
    function.__qualname__ += f"_{STAMP}"
    settings = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp", "reassoc"}}
    try:
        return numba.njit(cache=True, **settings)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written to
        return numba.njit(**settings)(function)
