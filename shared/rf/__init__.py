"""Receptive fields: what one output of a network can see of its input.

``rf.stack``, ``rf.conv`` and the operators of ``Field`` answer by arithmetic and need no torch. What asks a network
or draws is imported at its first use.
"""

from importlib import import_module
from typing import Any

from shared.rf.field import Field
from shared.rf.gridding import design, gap_free, hdc_distance, passes_hdc, verdict
from shared.rf.path_counts import Paths, paths
from shared.rf.spec import parse
from shared.rf.spread import Spread, variance
from shared.rf.stacks import conv, global_pool, pool, stack, through
from shared.rf.taps import valid_share, whole_share

_LAZY = {
    "of": "reach",
    "explain": "explanation",
    "verify": "judge",
    "projective": "judge",
    "effective": "measured",
    "visualize_receptive_field": "figure",
    "DilatedConvVisualizer": "visualizer",
}
"""Names whose modules are imported late. A module must not bear the name of what it gives: it would hide it."""

__all__ = [
    "Field",
    "Paths",
    "Spread",
    "conv",
    "design",
    "gap_free",
    "global_pool",
    "hdc_distance",
    "parse",
    "passes_hdc",
    "paths",
    "pool",
    "stack",
    "through",
    "valid_share",
    "variance",
    "verdict",
    "whole_share",
]


def __getattr__(name: str) -> Any:
    """Import what needs torch or matplotlib when it is asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
