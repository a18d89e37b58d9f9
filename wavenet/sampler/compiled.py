"""The whole sampling loop in machine code, on the CPU: no Python between samples, the interpreter's lock released.

Weights are laid out once, transposed and padded to whole vectors; streams are spread over the threads, and each
thread draws its streams together, so that a weight read once serves up to four of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shared.errors import InputError
from wavenet.distributions.categorical import mu_law_decode, mu_law_encode
from wavenet.model import WaveNet
from wavenet.sampler.cached import Ring, primed
from wavenet.sampler.kernels import LANES, draw


@dataclass(frozen=True)
class Weights:
    """A network's weights as flat float32 arrays, every width padded with zeros to whole vectors.

    Matrices are ``[inputs, outputs]``; those of the blocks lie one behind the other. A zero stays zero through every
    layer, so padding changes nothing. Matrices whose numbers are all bfloat16 are stored as such, in half the bytes;
    nothing is lost by it, so precision is chosen by rounding the model (``wavenet.sampler.precision``).
    """

    widths: np.ndarray  # residual, half of the gate, skip, classes: padded
    dilations: np.ndarray
    taps: int
    classes: int
    embedding: np.ndarray
    dilated: np.ndarray
    dilated_bias: np.ndarray
    residual: np.ndarray
    residual_bias: np.ndarray
    skip: np.ndarray
    skip_bias: np.ndarray
    hidden: np.ndarray
    hidden_bias: np.ndarray
    output: np.ndarray
    output_bias: np.ndarray

    @classmethod
    def of(cls, model: WaveNet) -> Weights:
        """Lay out a model's weights."""
        config = model.config
        half = config.gate_channels // 2
        r, h, s, c = (
            padded(width) for width in (config.residual_channels, half, config.skip_channels, config.output.classes)
        )
        layers, taps = len(config.dilations), config.kernel_size

        def array(tensor: Tensor) -> np.ndarray:
            return tensor.detach().float().numpy()

        dilated, dilated_bias = np.zeros((layers, taps, r, 2, h)), np.zeros((layers, 2, h))
        residual, residual_bias = np.zeros((layers, h, r)), np.zeros((layers, r))
        for at, block in enumerate(model.blocks):
            weight = array(block.dilated.weight).reshape(2, half, config.residual_channels, taps)
            dilated[at, :, : config.residual_channels, :, :half] = weight.transpose(3, 2, 0, 1)
            dilated_bias[at, :, :half] = array(block.dilated.bias).reshape(2, half)
            if block.residual is not None:
                residual[at, :half, : config.residual_channels] = array(block.residual.weight)[..., 0].T
                residual_bias[at, : config.residual_channels] = array(block.residual.bias)
        skip = np.zeros((layers, h, s))
        skip[:, :half, : config.skip_channels] = (
            array(model.skip.weight)[..., 0].reshape(config.skip_channels, layers, half).transpose(1, 2, 0)
        )
        matrices = [
            framed(array(model.input.weight), (c, r)),
            dilated,
            dilated_bias,
            residual,
            residual_bias,
            skip,
            framed(array(model.skip.bias), (s,)),
            framed(array(model.hidden.weight)[..., 0].T, (s, s)),
            framed(array(model.hidden.bias), (s,)),
            framed(array(model.output.weight)[..., 0].T, (s, c)),
            framed(array(model.output.bias), (c,)),
        ]
        flat = [torch.from_numpy(np.ascontiguousarray(matrix, np.float32)) for matrix in matrices]
        products = {1: 2 * h, 3: r, 5: s, 7: s, 9: c}  # the matrices among them, and their columns
        if all(torch.equal(flat[at], flat[at].bfloat16().float()) for at in products):
            for at, columns in products.items():
                flat[at] = paired(flat[at], columns)
        flat = [array.numpy().ravel() for array in flat]
        widths = np.array([r, h, s, c])
        return cls(widths, np.array(config.dilations), taps, config.output.classes, *flat)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All arrays of weights, in the order that ``kernels.draw`` takes them."""
        return (
            self.embedding, self.dilated, self.dilated_bias, self.residual, self.residual_bias, self.skip,
            self.skip_bias, self.hidden, self.hidden_bias, self.output, self.output_bias,
        )  # fmt: skip


class Streams:
    """Some clips that grow together: their rings, and the code that each drew last."""

    def __init__(self, weights: Weights, rings: Sequence[Ring], newest: np.ndarray, share: np.ndarray):
        self.weights, self.newest = weights, newest[share]
        width, streams = weights.widths[0], len(share)
        histories = (weights.taps - 1) * weights.dilations
        self.starts = np.concatenate([[0], np.cumsum(histories)[:-1]]) * streams * width
        self.rings = np.zeros(int(histories.sum()) * streams * width + LANES, np.float32)
        self.places = np.zeros(len(histories), np.int64)
        for start, history, ring in zip(self.starts, histories, rings, strict=True):
            if history:
                past = torch.stack(ring.inputs).float().numpy()[:, share]  # [history, streams, residual]
                view = self.rings[start : start + history * streams * width].reshape(history, streams, width)
                view[..., : past.shape[2]] = past

    def draw(self, uniforms: np.ndarray, temperature: float) -> np.ndarray:
        """The next codes, ``[streams, n]``, one for each of the uniform numbers ``[streams, n]``."""
        codes = np.empty(uniforms.shape, np.int64)
        weights = self.weights
        draw(
            codes, self.newest, np.ascontiguousarray(uniforms), temperature, self.rings, self.starts, self.places,
            weights.dilations, weights.taps, weights.classes, weights.widths, *weights.arrays,
        )  # fmt: skip
        return codes


def begin(model: WaveNet, prompt: Tensor, streams: int, temperature: float = 1.0) -> Callable[[Tensor], Tensor]:
    """``streams`` clips behind ``prompt [streams or 1, p]``; each call draws on: ``uniforms [b, n] -> wave [b, n]``."""
    if model.device.type != "cpu":
        raise InputError(f"the compiled engine runs on the CPU and the model is on {model.device.type}; take cached")
    classes = model.config.output.classes
    weights = Weights.of(model)
    newest, rings = primed(model, prompt, streams)
    codes = mu_law_encode(newest, classes).numpy()
    threads = min(streams, torch.get_num_threads())
    shares = np.array_split(np.arange(streams), threads)
    groups = [Streams(weights, rings, codes, share) for share in shares]
    pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def draw(uniforms: Tensor) -> Tensor:
        numbers = uniforms.double().numpy()
        parts = [numbers[share] for share in shares]
        each = (pool.map if pool else map)(Streams.draw, groups, parts, [temperature] * threads)
        return mu_law_decode(torch.from_numpy(np.concatenate(list(each))), classes)

    return draw


def paired(matrix: Tensor, columns: int) -> Tensor:
    """bfloat16 rows two by two in 32-bit words, uint32 ``[rows / 2, columns]``; the even row in the lower half."""
    bits = matrix.bfloat16().view(torch.int16).view(-1, 2, columns).to(torch.int32)
    return ((bits[:, 1] << 16) | (bits[:, 0] & 0xFFFF)).view(torch.uint32)


def padded(width: int) -> int:
    """The next multiple of a vector's length."""
    return -(-width // LANES) * LANES


def framed(matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The matrix in the corner of zeros."""
    frame = np.zeros(shape, np.float32)
    frame[tuple(slice(size) for size in matrix.shape)] = matrix
    return frame
