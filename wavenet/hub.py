"""WaveNet with huggingface_hub's mixin: the same folder, but found on the Hugging Face Hub and pushed to it.

    from wavenet.hub import HubWaveNet               # needs huggingface_hub: pip install 'atrous[hub]'

    model = HubWaveNet.from_pretrained("user/name")  # or a folder of ours; revision=, token= and the like go along
    model.push_to_hub("user/name")

The mixin has its own ``from_pretrained`` and ``save_pretrained``, and two hooks to be filled in. They are filled with
those of ``WaveNet``, so that both classes read and write one format: unions in ``config.json`` keep their ``type``,
which the mixin's own treatment of dataclasses would drop, and weights must match name by name and shape by shape,
which the mixin does not ask for.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import InputError
from shared.training.checkpoint import CONFIG, MODEL
from wavenet.card import LIBRARY, PIPELINE, TAGS
from wavenet.model import WaveNet

if TYPE_CHECKING:
    HubWaveNet: type[WaveNet]


def __getattr__(name: str) -> Any:
    """Make the class when it is first asked for: what it is made of need not be installed."""
    if name == "HubWaveNet":
        return _hub_wavenet()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _hub_wavenet() -> type[WaveNet]:
    try:
        from huggingface_hub import PyTorchModelHubMixin, snapshot_download
    except ImportError:
        raise InputError("the Hugging Face Hub needs huggingface_hub; pip install 'atrous[hub]'") from None

    class HubWaveNet(
        PyTorchModelHubMixin, WaveNet, library_name=LIBRARY, pipeline_tag=PIPELINE, tags=list(TAGS)
    ):  # the mixin first: its methods are asked, WaveNet's answer
        """A WaveNet that huggingface_hub can load and push; otherwise ``WaveNet``."""

        def _save_pretrained(self, save_directory: Path) -> None:
            WaveNet.save_pretrained(self, save_directory)

        @classmethod
        def _from_pretrained(
            cls, *, model_id: str, map_location: str = "cpu", config: Any = None, **download: Any
        ) -> WaveNet:
            del config  # as the mixin has read it; WaveNet reads it again, with its types
            folder = Path(model_id)
            if not folder.is_dir():
                folder = Path(snapshot_download(model_id, allow_patterns=[CONFIG, MODEL], **download))
            return WaveNet.from_pretrained.__func__(cls, folder, map_location)

    HubWaveNet.__qualname__ = HubWaveNet.__name__
    return HubWaveNet
