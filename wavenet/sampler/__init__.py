"""Drawing waveforms. Randomness is an input: an engine is a function of the model, uniform numbers and a prompt.

Engine: ``run(model, uniforms [b, t], prompt [b or 1, p], temperature) -> iterator of waves [b, n]`` whose ``n`` add
up to ``t``. ``reference`` says what is right and every other engine must draw the same waveform from the same numbers.
``p`` may be 0; before the prompt there is silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wavenet.model import WaveNet
from wavenet.sampler import cached, reference

Engine = Callable[[WaveNet, Tensor, Tensor, float], Iterator[Tensor]]

ENGINES: dict[str, Engine] = {"reference": reference.run, "cached": cached.run}


def engine_named(name: str) -> Engine:
    """An engine by name; ``auto`` is the fastest that runs here."""
    return ENGINES["cached" if name == "auto" else name]


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
) -> Iterator[Tensor]:
    """Generate one clip a seed and give it out as it grows: blocks ``[b, n]`` on the CPU, the prompt not included."""
    if temperature < 0:
        raise ValueError(f"temperature must not be negative, got {temperature}")
    past = torch.zeros(1, 0) if prompt is None else torch.as_tensor(np.asarray(prompt), dtype=torch.float32)
    past = torch.atleast_2d(past)
    if len(past) not in (1, len(seeds)):
        raise ValueError(f"{len(past)} prompts for {len(seeds)} clips; give one for all or one each")
    run = engine_named(engine)
    for block in run(model, uniforms(seeds, samples).to(model.device), past.to(model.device), temperature):
        yield block.cpu()


def generate(model: WaveNet, samples: int, *, seeds: Sequence[int], prompt: Any = None, **choices: Any) -> Tensor:
    """Generate one clip a seed, whole: prompt and new sound, ``[b, p + samples]``; choices as for ``stream``."""
    blocks = list(stream(model, samples, seeds=seeds, prompt=prompt, **choices))
    if prompt is not None:
        past = torch.as_tensor(np.asarray(prompt), dtype=torch.float32)
        blocks.insert(0, torch.atleast_2d(past).expand(len(seeds), -1))
    return torch.cat(blocks, dim=1)
