"""The whole sampling loop in machine code, on the CPU: no Python between samples, the interpreter's lock released.

Weights are laid out once, transposed and padded to whole vectors; streams are spread over the threads, and each
thread draws its streams together, so that a weight read once serves up to eight of them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numba.core.event import Event, Listener, install_listener
from torch import Tensor

from shared.errors import InputError
from wavenet.conditioning import Condition
from wavenet.distributions import PLAIN, Categorical, Distribution, Drawing, Gaussian, LogisticMixture
from wavenet.model import WaveNet
from wavenet.sampler.cached import Past, primed
from wavenet.sampler.choosing import CATEGORICAL, GAUSSIAN, LOGISTIC
from wavenet.sampler.kernels import draw
from wavenet.sampler.precision import step_of
from wavenet.sampler.told import NOTHING, Teller, Told
from wavenet.sampler.vectors import LANES, PANELS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Weights:
    """A network's weights as flat arrays in the order of their use, every width padded with zeros to whole vectors.

    A zero stays zero through every layer, so padding changes nothing. Numbers that all fit bfloat16, or all int8
    times a scale an output, are stored as such, in half or a quarter of the bytes; nothing is lost by it, so
    precision is chosen by rounding the model (``wavenet.sampler.precision``).
    """

    widths: np.ndarray  # residual, half of the gate, skip, output: padded
    dilations: np.ndarray
    taps: int
    kind: int
    parts: int
    """Of the output distribution: classes, or components."""
    levels: np.ndarray
    """Where each value that can be drawn is looked up in the input table, in rows."""
    embedding: np.ndarray
    products: np.ndarray
    """All matrices ``[rows, columns]``, in panels (``wavenet.sampler.vectors``)."""
    offsets: np.ndarray
    """Where each begins."""
    biases: np.ndarray
    scales: np.ndarray
    bias_offsets: np.ndarray
    surprises: np.ndarray
    """The input table of a linear predictor; of no size without one."""

    @classmethod
    def of(cls, model: WaveNet) -> Weights:
        """Lay out a model's weights."""
        config = model.config
        half = config.gate_channels // 2
        output = config.output
        r, h, s, c = (
            padded(width) for width in (config.residual_channels, half, config.skip_channels, output.channels)
        )
        kind, parts = kind_of(output)
        layers, taps = len(config.dilations), config.kernel_size

        def array(tensor: Tensor) -> np.ndarray:
            return tensor.detach().float().numpy()

        matrices, biases = [], []
        for block in model.blocks:
            weight = array(block.dilated.weight).reshape(2, half, config.residual_channels, taps)
            matrices.append(framed(weight.transpose(3, 2, 0, 1), (taps, r, 2, h)).reshape(taps * r, 2 * h))
            biases.append(framed(array(block.dilated.bias).reshape(2, half), (2, h)).ravel())
            if block.residual is not None:
                matrices.append(framed(array(block.residual.weight)[..., 0].T, (h, r)))
                biases.append(framed(array(block.residual.bias), (r,)))
            else:
                matrices.append(np.zeros((h, r), np.float32))  # never used: every block has two places
                biases.append(np.zeros(r, np.float32))
        skip = array(model.skip.weight)[..., 0].reshape(config.skip_channels, layers, half).transpose(1, 2, 0)
        matrices += [
            framed(skip, (layers, h, s)).reshape(layers * h, s),
            framed(array(model.hidden.weight)[..., 0].T, (s, s)),
            framed(array(model.output.weight)[..., 0].T, (s, c)),
        ]
        biases += [
            framed(array(layer.bias), (wide,))
            for layer, wide in ((model.skip, s), (model.hidden, s), (model.output, c))
        ]
        words, scales = packed(matrices)
        return cls(
            widths=np.array([r, h, s, c]),
            dilations=np.array(config.dilations),
            taps=taps,
            kind=kind,
            parts=parts,
            levels=array(output.encode(output.value_of(torch.arange(output.values)))),
            embedding=aligned([framed(array(model.input.weight), (model.input.num_embeddings, r)).ravel()]),
            products=aligned(words),
            offsets=starts(words),
            biases=aligned(biases),
            scales=aligned(scales),
            bias_offsets=starts(biases),
            surprises=aligned(
                [framed(array(model.surprise.weight), (model.surprise.num_embeddings, r)).ravel()]
                if model.surprise is not None
                else [np.empty(0, np.float32)]
            ),
        )


class Streams:
    """Some clips that grow together: their rings, and the number of the value that each drew last."""

    def __init__(self, weights: Weights, past: Past, newest: np.ndarray, share: np.ndarray):
        self.weights, self.newest, rings = weights, newest[share], past.rings
        self.heard, self.expected = np.zeros((len(share), 0), np.float32), np.zeros((len(share), 2), np.float32)
        if past.expected is not None:
            self.heard = np.tile(past.wave.flip(1).float().numpy()[share], 2)
            self.expected = past.expected.float().numpy()[share]
        self.cursor = np.zeros(1, np.int64)
        width, streams = weights.widths[0], len(share)
        histories = (weights.taps - 1) * weights.dilations
        self.starts = np.concatenate([[0], np.cumsum(histories)[:-1]]) * streams * width
        self.rings = aligned([np.zeros(int(histories.sum()) * streams * width + LANES, np.float32)])
        self.places = np.zeros(len(histories), np.int64)
        for start, history, ring in zip(self.starts, histories, rings, strict=True):
            if history:
                past = torch.stack(ring.inputs).float().numpy()[:, share]  # [history, streams, residual]
                view = self.rings[start : start + history * streams * width].reshape(history, streams, width)
                view[..., : past.shape[2]] = past

    def go_on(self, numbers: np.ndarray, uniforms: np.ndarray, drawing: Drawing, told: Told = NOTHING) -> None:
        """The next ``numbers [streams, n]``: those given, or drawn with ``uniforms [streams, n]`` if there are any."""
        weights = self.weights
        top_k = min(drawing.top_k or weights.parts, weights.parts)
        draw(
            numbers, self.newest, uniforms, float(drawing.temperature), top_k, float(drawing.top_p or 1), self.rings,
            self.starts, self.places,
            weights.dilations, weights.taps, weights.kind, weights.parts, weights.widths, weights.levels,
            weights.embedding, weights.products, weights.offsets, weights.biases, weights.scales, weights.bias_offsets,
            told.fixed, told.frames, told.kernel, told.skipped,
            weights.surprises, told.filters, told.log_scales, self.heard, self.expected, self.cursor,
        )  # fmt: skip


class Compiled:
    """``streams`` clips behind ``prompt [streams or 1, p]``, told ``condition``, spread over torch's threads."""

    def __init__(
        self,
        model: WaveNet,
        prompt: Tensor,
        streams: int,
        drawing: Drawing = PLAIN,
        condition: Condition = Condition(),
    ):
        self.output, self.drawing = model.config.output, drawing
        weights = Weights.of(model)
        condition = condition.expand(streams)
        past = primed(model, prompt, streams, condition)
        self.teller = Teller(model, condition, streams, prompt.shape[1], int(weights.widths[1]))
        numbers = self.output.number_of(past.newest).numpy()
        threads = min(streams, torch.get_num_threads())
        self.shares = np.array_split(np.arange(streams), threads)
        self.groups = [Streams(weights, past, numbers, share) for share in self.shares]
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None
        compile(self.groups[0])

    def draw(self, uniforms: Tensor) -> Tensor:
        """The next samples ``[b, n]``, one for each of the numbers ``[b, n]``."""
        numbers = np.empty(uniforms.shape, np.int64)
        self._go_on(numbers, uniforms.double().numpy())
        return self.output.value_of(torch.from_numpy(numbers))

    def hear(self, wave: Tensor) -> None:
        """Go on behind ``wave [b, n]`` as if it had been drawn."""
        self._go_on(self.output.number_of(wave).numpy(), np.empty((len(wave), 0)))

    def _go_on(self, numbers: np.ndarray, uniforms: np.ndarray) -> None:
        def of(share: np.ndarray, group: Streams, told: Told) -> None:
            mine = np.ascontiguousarray(numbers[share])
            group.go_on(mine, np.ascontiguousarray(uniforms[share]), self.drawing, told)
            numbers[share] = mine

        told = self.teller.next(numbers.shape[1], self.shares)
        list((self.pool.map if self.pool else map)(of, self.shares, self.groups, told))


def compile(streams: Streams) -> None:
    """Have the machine code ready, and say so if that takes seconds; InputError where numba cannot make it."""

    def nothing() -> None:
        none = len(streams.newest)
        streams.go_on(np.empty((none, 0), np.int64), np.empty((none, 0)), PLAIN)

    with install_listener("numba:compile", _Announcement()):  # silent where it was kept from an earlier time
        try:
            nothing()
        except Exception:  # a cache that a crash or a full disk has spoilt may raise anything
            try:
                nothing()  # what was compiled but could not be kept is there
            except Exception as error:
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                raise InputError(f"the sampler cannot be compiled here ({reason}); take the engine cached") from None


class _Announcement(Listener):
    said = False

    def on_start(self, _: Event) -> None:
        if not self.said:
            log.warning("compiling the sampler for this machine: seconds, once for each precision, then it is kept")
        self.said = True

    def on_end(self, _: Event) -> None:
        pass


def kind_of(output: Distribution) -> tuple[int, int]:
    """What machine code calls a distribution, and how many parts it has; InputError for one that it does not know."""
    match output:
        case Categorical():
            return CATEGORICAL, output.classes
        case LogisticMixture():
            return LOGISTIC, output.mixtures
        case Gaussian():
            return GAUSSIAN, output.mixtures
    raise InputError(f"the compiled engine does not draw from {type(output).__name__}; take cached")


def packed(matrices: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Each matrix ``[rows, columns]`` as words, flat and in panels, and a scale a column.

    Rows share a word, the first in its lowest bits, where all matrices allow it: two of bfloat16 as uint32, or four
    of int8 as int32.
    """
    scales = [np.ones(matrix.shape[1], np.float32) for matrix in matrices]
    if all(map(is_bfloat16, matrices)):
        words = [joined(torch.from_numpy(each).bfloat16().view(torch.int16).numpy(), 2) for each in matrices]
        return [in_panels(each.view(np.uint32)) for each in words], scales
    steps = [step_of(torch.from_numpy(matrix), 0).numpy() for matrix in matrices]
    whole = [np.rint(matrix / step) for matrix, step in zip(matrices, steps, strict=True)]
    if all(np.array_equal(n * step, matrix) for n, step, matrix in zip(whole, steps, matrices, strict=True)):
        words = [joined(each.astype(np.int8), 4) for each in whole]
        return [in_panels(each) for each in words], [step.ravel() * np.float32(2.0**-24) for step in steps]
    return [in_panels(each) for each in matrices], scales


def is_bfloat16(matrix: np.ndarray) -> bool:
    """Whether rounding to bfloat16 changes nothing."""
    tensor = torch.from_numpy(matrix)
    return torch.equal(tensor, tensor.bfloat16().float())


def joined(matrix: np.ndarray, rows: int) -> np.ndarray:
    """So many rows of small integers to a row of int32 words, the first in the lowest bits."""
    rows_first = matrix.reshape(-1, rows, matrix.shape[1]).transpose(0, 2, 1)
    return np.ascontiguousarray(rows_first).view(np.int32)[..., 0]


def in_panels(words: np.ndarray) -> np.ndarray:
    """``[rows, columns]`` to panels one behind the other, as wide as fits."""
    columns, cuts, at = words.shape[1], [], 0
    for width in PANELS:
        while columns - at >= width:
            cuts.append(words[:, at : at + width].ravel())
            at += width
    return np.concatenate(cuts)


def starts(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Where each begins when they lie one behind the other."""
    return np.cumsum([0, *map(len, arrays)])[:-1]


def aligned(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """One behind the other, from the beginning of a cache line on: torch places its tensors so."""
    whole = np.concatenate(arrays)
    place = torch.empty(len(whole), dtype=torch.int32).numpy().view(whole.dtype)
    place[:] = whole
    return place


def padded(width: int) -> int:
    """The next multiple of a vector's length."""
    return -(-width // LANES) * LANES


def framed(matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The matrix in the corner of zeros."""
    frame = np.zeros(shape, np.float32)
    frame[tuple(slice(size) for size in matrix.shape)] = matrix
    return frame
