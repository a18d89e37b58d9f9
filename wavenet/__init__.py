"""A causal WaveNet: recordings in, a model out, and WAV files from it.

``from wavenet import WaveNet, WaveNetConfig``; torch is loaded when one of them is first asked for.
"""

from typing import Any

__all__ = ["Clip", "WaveNet", "WaveNetConfig", "preset"]


def __getattr__(name: str) -> Any:
    """Import on demand, so that ``wavenet --help`` need not wait for torch."""
    if name == "Clip":
        from wavenet.clip import Clip

        return Clip
    if name in __all__:
        from wavenet import model

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
