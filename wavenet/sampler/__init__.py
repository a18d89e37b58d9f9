"""Drawing waveforms. Randomness is an input: what is drawn is a function of the model, uniform numbers and a prompt.

An engine is a function ``engine(model, prompt [b or 1, p], streams, drawing, condition)`` that returns a
``Sampler``. ``reference`` says what is right, and every other engine must draw the same waveform from the same numbers;
where the output is continuous, up to the last bits of float32 sums (its ``slack``). ``p`` may be 0; before the prompt
there is silence. Time in ``condition`` counts from the prompt's start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from shared.errors import InputError
from wavenet.conditioning import Condition
from wavenet.distributions import PLAIN, Drawing
from wavenet.model import WaveNet
from wavenet.sampler.cached import Cached
from wavenet.sampler.precision import rounded
from wavenet.sampler.reference import Reference


class Sampler(Protocol):
    """Some clips that grow together."""

    def draw(self, uniforms: Tensor) -> Tensor:
        """The next samples ``[b, n]``, one for each of the numbers ``[b, n]`` in [0, 1)."""

    def hear(self, wave: Tensor) -> None:
        """Go on behind ``wave [b, n]`` as if it had been drawn."""


Engine = Callable[[WaveNet, Tensor, int, Drawing, Condition], Sampler]

log = logging.getLogger(__name__)
BLOCK = 320  # samples given out at a time: 20 ms
AT_ONCE = 8  # clips of different lengths that are drawn together: a weight that is read serves all of them


def _compiled(
    model: WaveNet, prompt: Tensor, streams: int, drawing: Drawing = PLAIN, condition: Condition = Condition()
) -> Sampler:
    if model.device.type != "cpu":
        raise InputError(f"the compiled engine runs on the CPU and the model is on {model.device.type}; take cached")
    try:
        from wavenet.sampler import compiled  # numba takes a second to load
    except (ImportError, OSError) as error:
        raise InputError(f"the compiled engine needs numba, which does not load here ({error}); take cached") from None
    return compiled.Compiled(model, prompt, streams, drawing, condition)


def _fastest(
    model: WaveNet, prompt: Tensor, streams: int, drawing: Drawing = PLAIN, condition: Condition = Condition()
) -> Sampler:
    """What ``auto`` means: compiled where it runs, else cached."""
    if model.device.type == "cpu":
        try:
            return _compiled(model, prompt, streams, drawing, condition)
        except InputError as reason:
            _say_once(str(reason).partition(";")[0])
    return Cached(model, prompt, streams, drawing, condition)


@cache
def _say_once(reason: str) -> None:
    log.warning("%s: going on with the engine cached, which is slower", reason)


ENGINES: dict[str, Engine] = {"reference": Reference, "cached": Cached, "compiled": _compiled}


@torch.inference_mode()
def begin(
    model: WaveNet,
    engine: str = "auto",
    prompt: Tensor | None = None,
    streams: int = 1,
    drawing: Drawing = PLAIN,
    condition: Condition = Condition(),
) -> Sampler:
    """``streams`` clips behind ``prompt [streams or 1, p]``, told ``condition``, ready to draw.

    ValueError for a drawing that the model's output does not have.
    """
    model.config.output.check_drawing(drawing)
    build = _fastest if engine == "auto" else ENGINES[engine]
    past = torch.zeros(1, 0) if prompt is None else prompt
    return build(model, past.to(model.device), streams, drawing, condition.to(model.device))


@torch.inference_mode()
def run(
    model: WaveNet,
    uniforms: Tensor,
    prompt: Tensor | None = None,
    drawing: Drawing = PLAIN,
    engine: str = "auto",
    condition: Condition = Condition(),
) -> Tensor:
    """The waveform ``[b, t]`` that these uniform numbers ``[b, t]`` draw behind ``prompt [b or 1, p]``."""
    sampler = begin(model, engine, prompt, len(uniforms), drawing, condition)
    return sampler.draw(uniforms.to(model.device)).cpu()


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
    drawing: Drawing = PLAIN,
    prompt: Any = None,
    engine: str = "auto",
    precision: str = "float32",
    drawn: Any = None,
    condition: Condition = Condition(),
) -> Iterator[Tensor]:
    """Generate one clip a seed and give it out as it grows: blocks ``[b, n]`` on the CPU, only what is new.

    ``prompt`` is one for all, ``[p]``, or one each, ``[b, p]``; ``engine`` is a name in ``ENGINES`` or ``auto``;
    ``precision`` is that of the weights, see ``wavenet.sampler.precision``; ``condition`` is one for all or one each,
    and its time counts from the start of the prompt.

    A clip is all the state there is. To go on with clips that were stopped, give what was ``drawn [b, n]`` behind
    the same prompt: the engine hears the last receptive field of it again, step by step, and then draws what it
    would have drawn, with ``compiled`` to the last bit. ``samples`` counts the new ones.
    """
    past = _as_rows(prompt) if prompt is not None else torch.zeros(1, 0)
    if len(past) not in (1, len(seeds)):
        raise ValueError(f"{len(past)} prompts for {len(seeds)} clips; give one for all or one each")
    before = _as_rows(drawn) if drawn is not None else torch.zeros(len(seeds), 0)
    if len(before) != len(seeds):
        raise ValueError(f"{len(before)} clips were drawn and {len(seeds)} have a seed")
    unheard = max(0, before.shape[1] - model.receptive_field)
    told = condition.later(unheard)  # what is not heard again takes its time all the same
    sampler = begin(rounded(model, precision), engine, past, len(seeds), drawing, told)
    if before.shape[1]:
        sampler.hear(before[:, -model.receptive_field :].to(model.device))
    for at in range(0, samples, BLOCK):
        numbers = uniforms(seeds, min(BLOCK, samples - at), before.shape[1] + at)
        yield sampler.draw(numbers.to(model.device)).cpu()


def generate(
    model: WaveNet, samples: int, *, seeds: Sequence[int], prompt: Any = None, drawn: Any = None, **choices: Any
) -> Tensor:
    """Generate one clip a seed, whole: prompt, what was drawn before, and new sound; choices as for ``stream``."""
    blocks = list(stream(model, samples, seeds=seeds, prompt=prompt, drawn=drawn, **choices))
    given = [_as_rows(part).expand(len(seeds), -1) for part in (prompt, drawn) if part is not None]
    return torch.cat([*given, *blocks, torch.zeros(len(seeds), 0)], dim=1)


def _as_rows(wave: Any) -> Tensor:
    rows = torch.atleast_2d(torch.as_tensor(np.asarray(wave), dtype=torch.float32))
    if not bool(torch.isfinite(rows).all()):
        raise ValueError("a prompt, or what was drawn before, has samples that are NaN or infinite")
    return rows
