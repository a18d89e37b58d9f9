"""A model: a network with all that a prediction needs beside it, in memory and on disk.

A folder with ``config.json`` and ``model.safetensors`` is a model, as ``shared.training.checkpoint`` writes it: names
and colours of the classes and the normalisation are in it, so no prediction needs to be told of them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from PIL import Image

from segmentation.fast import InferenceForm
from segmentation.images import Picture, read_image, upright
from segmentation.networks import Network, Segmenter
from segmentation.palette import Classes
from segmentation.predict import Prediction, Progress, predict
from segmentation.tiles import Views
from segmentation.transforms import IMAGENET, Normalisation
from shared.config import from_json, to_json
from shared.training import checkpoint


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that weights depend on, and what their answers mean."""

    network: Network
    """The kind of network and its sizes."""
    classes: Classes
    """Names and colours, in the order of the ids."""
    normalisation: Normalisation = IMAGENET
    """What is done to pixels before the network sees them."""

    def __post_init__(self):
        if self.classes.count < 2:
            raise ValueError("one class leaves nothing to tell apart; a background counts as one")


class SegmentationModel:
    """A network, its classes, its normalisation.

    >>> from segmentation.networks import DeepLabV3Plus
    >>> from segmentation.palette import numbered
    >>> config = ModelConfig(network=DeepLabV3Plus(depth=18, width=8, channels=8), classes=numbered(3))
    >>> prediction = SegmentationModel(config).predict(np.zeros((33, 50, 3), np.uint8))
    >>> prediction.ids.shape, prediction.overlay().shape
    ((33, 50), (33, 50, 3))
    """

    def __init__(self, config: ModelConfig, network: Segmenter | None = None):
        """With ``network`` None, one with fresh random weights."""
        self.config = config
        self.network = config.network.build(config.classes.count) if network is None else network
        if self.network.classes != config.classes.count:
            raise ValueError(f"the network knows {self.network.classes} classes, the table {config.classes.count}")
        self._forms: dict[bool, tuple[tuple, InferenceForm]] = {}

    @property
    def classes(self) -> Classes:
        """Names and colours, in the order of the ids."""
        return self.config.classes

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    def predict(
        self,
        picture: Path | str | np.ndarray | Picture | Image.Image,
        *,
        fast: bool = False,
        scales: tuple[float, ...] = (1.0,),
        flip: bool = False,
        tile: int | None = None,
        overlap: int | None = None,
        probabilities: bool = False,
        progress: Progress | None = None,
    ) -> Prediction:
        """Predict a picture: a file, or uint8 ``[h, w, 3]``, of any size.

        ``fast`` computes in bfloat16. ``scales`` and ``flip`` average the probabilities of the picture in several
        sizes, and mirrored. ``tile`` is the side of tiles in pixels; 0 looks at the picture as a whole, None decides
        by its size. Blended tiles share ``overlap`` pixels. ``probabilities`` keeps them all, which takes 2·k bytes
        a pixel. Raises InputError for a file that is no picture, ValueError for options that make no sense.
        """
        opened = _opened(picture)
        views = Views(normalisation=self.config.normalisation, scales=tuple(scales), flip=flip)
        settings = {"tile": tile, "overlap": overlap, "probabilities": probabilities, "progress": progress}
        made = predict(self.form(fast), opened.pixels, self.classes, views, **settings)
        return Prediction(made.ids, made.pixels, made.classes, made.probabilities, opened.remarks + made.remarks)

    def form(self, fast: bool = False) -> InferenceForm:
        """The inference form of the network as it is now, on its device; kept until the weights change."""
        state = self.network.state_dict()
        # every change in place, an optimizer's step or load_state_dict, counts the version up
        stamp = tuple((value.data_ptr(), 0 if value.is_inference() else value._version) for value in state.values())
        known = self._forms.get(fast)
        if known is None or known[0] != stamp:
            known = self._forms[fast] = stamp, InferenceForm(self.network, bfloat16=fast)
        return known[1]

    def to(self, device: torch.device | str) -> Self:
        """Move the weights."""
        self.network.to(device)
        return self

    def save_pretrained(self, folder: Path | str) -> None:
        """Write ``config.json`` and ``model.safetensors``, from which ``from_pretrained`` rebuilds the model."""
        checkpoint.save_model(Path(folder), {"model": to_json(self.config)}, self.network)

    @classmethod
    def from_pretrained(cls, folder: Path | str, device: torch.device | str = "cpu") -> Self:
        """The model of a run folder or saved folder, ready to predict; InputError if there is none."""
        values = checkpoint.load_config(Path(folder))
        config = from_json(ModelConfig, values.get("model"), "model.")
        with torch.random.fork_rng(devices=[]):  # first weights are random, but the caller's numbers stay the same
            network = config.network.build(config.classes.count)
        checkpoint.load_weights(Path(folder), network)
        return cls(config, network.to(device).eval())


def _opened(picture: Path | str | np.ndarray | Picture | Image.Image) -> Picture:
    match picture:
        case Picture():
            return picture
        case np.ndarray():
            return Picture(picture)
        case Image.Image():
            return upright(picture)
    return read_image(picture)
