"""Drawing waveforms. Randomness is an input: an engine is a function of the model, uniform numbers and a prompt.

Engine: ``run(model, uniforms [b, t], prompt [b or 1, p], temperature) -> iterator of waves [b, n]`` whose ``n`` add
up to ``t``. ``reference`` says what is right and every other engine must draw the same waveform from the same numbers.
``p`` may be 0; before the prompt there is silence.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shared.errors import InputError
from wavenet.model import WaveNet
from wavenet.sampler import cached, reference
from wavenet.sampler.precision import rounded

Engine = Callable[[WaveNet, Tensor, Tensor, float], Iterator[Tensor]]


def _compiled(model: WaveNet, uniforms: Tensor, prompt: Tensor, temperature: float = 1.0) -> Iterator[Tensor]:
    try:
        from wavenet.sampler import compiled  # numba takes a second to load
    except ImportError as error:
        raise InputError(f"the compiled engine needs numba, which does not load here ({error}); take cached") from None
    return compiled.run(model, uniforms, prompt, temperature)


ENGINES: dict[str, Engine] = {"reference": reference.run, "cached": cached.run, "compiled": _compiled}


def fastest(model: WaveNet) -> str:
    """The name of the fastest engine that can run this model here: what ``auto`` means."""
    loads = importlib.util.find_spec("numba") is not None
    return "compiled" if loads and model.device.type == "cpu" else "cached"


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
) -> Iterator[Tensor]:
    """Generate one clip a seed and give it out as it grows: blocks ``[b, n]`` on the CPU, the prompt not included.

    ``prompt`` is one for all, ``[p]``, or one each, ``[b, p]``; ``engine`` is a name in ``ENGINES`` or ``auto``;
    ``precision`` is that of the weights, see ``wavenet.sampler.precision``.
    """
    if temperature < 0:
        raise ValueError(f"temperature must not be negative, got {temperature}")
    past = torch.zeros(1, 0) if prompt is None else torch.as_tensor(np.asarray(prompt), dtype=torch.float32)
    past = torch.atleast_2d(past)
    if len(past) not in (1, len(seeds)):
        raise ValueError(f"{len(past)} prompts for {len(seeds)} clips; give one for all or one each")
    run = ENGINES[fastest(model) if engine == "auto" else engine]
    model = rounded(model, precision)
    for block in run(model, uniforms(seeds, samples).to(model.device), past.to(model.device), temperature):
        yield block.cpu()


def generate(model: WaveNet, samples: int, *, seeds: Sequence[int], prompt: Any = None, **choices: Any) -> Tensor:
    """Generate one clip a seed, whole: prompt and new sound, ``[b, p + samples]``; choices as for ``stream``."""
    blocks = list(stream(model, samples, seeds=seeds, prompt=prompt, **choices))
    if prompt is not None:
        past = torch.as_tensor(np.asarray(prompt), dtype=torch.float32)
        blocks.insert(0, torch.atleast_2d(past).expand(len(seeds), -1))
    return torch.cat(blocks, dim=1)
