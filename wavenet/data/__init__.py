"""Where training waveforms come from: one file a source; the union is registry, config type and JSON tag.

A source is a frozen dataclass with ``load(validation, progress) -> Tracks``.
"""

from wavenet.data.plucks import Plucks
from wavenet.data.recordings import Recordings
from wavenet.data.torchaudio_sets import TorchaudioSet

Source = Recordings | TorchaudioSet | Plucks

__all__ = ["Plucks", "Recordings", "Source", "TorchaudioSet"]
