"""The tour's photograph: Rear Admiral Grace Hopper, by the US Navy, in the public domain; it comes with matplotlib."""

import matplotlib.cbook
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from segmentation.images import read_image

WHOLE = (0, 20, 512, 532)  # left, top, right, bottom of its largest square with the hat


def photo(size: int = 513, box: tuple[int, int, int, int] = WHOLE) -> np.ndarray:
    """A square of it, ``size`` pixels wide: uint8 ``[size, size, 3]``; ``box`` is what is cut out, in its own pixels.

    >>> photo(64).shape
    (64, 64, 3)
    """
    whole = read_image(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).pixels
    return np.array(Image.fromarray(whole).resize((size, size), Image.Resampling.LANCZOS, box))


def as_input(pixels: np.ndarray) -> Tensor:
    """A picture as networks take it, from −1 to 1: ``[h, w, 3] -> [1, 3, h, w]`` float32."""
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
