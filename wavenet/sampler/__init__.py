"""Drawing waveforms. Randomness is an input: what is drawn is a function of the model, uniform numbers and a prompt.

An engine is a function ``begin(model, prompt [b or 1, p], streams, temperature)`` that returns ``draw``, which takes
uniform numbers ``[b, n]`` and gives the next samples ``[b, n]``, and may be called again and again. ``reference`` says
what is right, and every other engine must draw the same waveform from the same numbers. ``p`` may be 0; before the
prompt there is silence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shared.errors import InputError
from wavenet.model import WaveNet
from wavenet.sampler import cached, reference
from wavenet.sampler.precision import rounded

Draw = Callable[[Tensor], Tensor]
Engine = Callable[[WaveNet, Tensor, int, float], Draw]

BLOCK = 320  # samples given out at a time: 20 ms


def _compiled(model: WaveNet, prompt: Tensor, streams: int, temperature: float = 1.0) -> Draw:
    try:
        from wavenet.sampler import compiled  # numba takes a second to load
    except ImportError as error:
        raise InputError(f"the compiled engine needs numba, which does not load here ({error}); take cached") from None
    return compiled.begin(model, prompt, streams, temperature)


ENGINES: dict[str, Engine] = {"reference": reference.begin, "cached": cached.begin, "compiled": _compiled}


def fastest(model: WaveNet) -> str:
    """The name of the fastest engine that can run this model here: what ``auto`` means."""
    if model.device.type != "cpu":
        return "cached"
    try:
        import numba  # noqa: F401
    except ImportError:
        return "cached"
    return "compiled"


@torch.inference_mode()
def run(
    model: WaveNet, uniforms: Tensor, prompt: Tensor | None = None, temperature: float = 1.0, engine: str = "auto"
) -> Tensor:
    """The waveform ``[b, t]`` that these uniform numbers ``[b, t]`` draw behind ``prompt [b or 1, p]``."""
    past = torch.zeros(1, 0) if prompt is None else prompt
    begin = ENGINES[fastest(model) if engine == "auto" else engine]
    return begin(model, past.to(model.device), len(uniforms), temperature)(uniforms.to(model.device)).cpu()


def uniforms(seeds: Sequence[int], samples: int, start: int = 0) -> Tensor:
    """Uniform numbers in [0, 1), float64 ``[b, samples]``: row ``i`` depends on ``seeds[i]`` and the place alone.

    Number ``n`` of a seed is Philox's output at counter ``n``, so a clip can be continued from any place, and a
    longer clip begins like a shorter one.

    >>> a, b = uniforms([7], 8), uniforms([7], 4, start=4)
    >>> torch.equal(a[:, 4:], b)
    True
    """
    rows = []
    for seed in seeds:
        block, skip = divmod(start, 4)  # one counter gives four numbers
        stream = np.random.Philox(key=seed).advance(block)
        rows.append(np.random.Generator(stream).random(skip + samples)[skip:])
    return torch.from_numpy(np.stack(rows))


@torch.inference_mode()  # torch applies it to each step of a generator, not to what happens between them
def stream(
    model: WaveNet,
    samples: int,
    *,
    seeds: Sequence[int],
    temperature: float = 1.0,
    prompt: Any = None,
    engine: str = "auto",
    precision: str = "float32",
    start: int = 0,
) -> Iterator[Tensor]:
    """Generate one clip a seed and give it out as it grows: blocks ``[b, n]`` on the CPU, the prompt not included.

    ``prompt`` is one for all, ``[p]``, or one each, ``[b, p]``; ``engine`` is a name in ``ENGINES`` or ``auto``;
    ``precision`` is that of the weights, see ``wavenet.sampler.precision``. What was drawn so far is all the state
    there is: to go on with a clip, give it (or its last receptive field) as the prompt and its length as ``start``,
    the place in the random numbers.
    """
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature is a number from 0 up, got {temperature}")
    past = _as_rows(prompt) if prompt is not None else torch.zeros(1, 0)
    if len(past) not in (1, len(seeds)):
        raise ValueError(f"{len(past)} prompts for {len(seeds)} clips; give one for all or one each")
    begin = ENGINES[fastest(model) if engine == "auto" else engine]
    draw = begin(rounded(model, precision), past.to(model.device), len(seeds), temperature)
    for at in range(0, samples, BLOCK):
        numbers = uniforms(seeds, min(BLOCK, samples - at), start + at)
        yield draw(numbers.to(model.device)).cpu()


def generate(model: WaveNet, samples: int, *, seeds: Sequence[int], prompt: Any = None, **choices: Any) -> Tensor:
    """Generate one clip a seed, whole: prompt and new sound, ``[b, p + samples]``; choices as for ``stream``."""
    blocks = list(stream(model, samples, seeds=seeds, prompt=prompt, **choices))
    if prompt is not None:
        blocks.insert(0, _as_rows(prompt).expand(len(seeds), -1))
    return torch.cat(blocks, dim=1)


def _as_rows(prompt: Any) -> Tensor:
    return torch.atleast_2d(torch.as_tensor(np.asarray(prompt), dtype=torch.float32))
