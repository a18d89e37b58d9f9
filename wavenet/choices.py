"""What the flags of drawing ask for, checked against the model that is to be drawn from."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Sequence

from shared.errors import InputError
from wavenet.distributions import Drawing
from wavenet.model import WaveNet


def drawing_of(arguments: Namespace) -> Drawing:
    """``--temperature``, ``--top-k``, ``--top-p`` and ``--greedy``; InputError where they contradict each other."""
    temperature, top_k, top_p = arguments.temperature, arguments.top_k, arguments.top_p
    if arguments.greedy and temperature:
        raise InputError("--greedy and --temperature: greedy is temperature 0; leave one out")
    temperature = 0.0 if arguments.greedy else 1.0 if temperature is None else temperature
    check_temperature(temperature)
    if top_p is not None and not 0 < top_p <= 1:
        raise InputError(f"--top-p {top_p:g}: a share above 0 and up to 1; 1 keeps everything")
    if temperature == 0 and (top_k is not None or top_p is not None):
        flag, greedy = "--top-k" if top_p is None else "--top-p", "--greedy" if arguments.greedy else "--temperature 0"
        raise InputError(f"{greedy} and {flag}: greedy leaves nothing to choose from; leave one out")
    return Drawing(temperature, top_k, top_p)


def check_drawing(model: WaveNet, drawing: Drawing) -> None:
    """InputError where the model's output cannot be drawn from so."""
    try:
        model.config.output.check_drawing(drawing)
    except ValueError as error:
        raise InputError(f"{'--top-p' if drawing.top_k is None else '--top-k'}: {error}") from None


def check_temperature(temperature: float) -> None:
    """InputError for what is none."""
    if not 0 <= temperature < math.inf:
        raise InputError(f"--temperature {temperature}: a number from 0 up; 1 is the model as it is")


def speakers_among(model: WaveNet, names: Sequence[str] | None) -> list[str]:
    """The speakers asked for; InputError where the model has none of them, or wants one and got none."""
    labels = model.config.labels
    if labels is None:
        if names:
            raise InputError("--speaker: the model was trained without speakers; leave it out")
        return []
    known = ", ".join(labels.names)
    if not names:
        raise InputError(f"whose voice? give --speaker NAME, one of {known}")
    for name in names:
        if name not in labels.names:
            raise InputError(f"--speaker {name}: the model knows {known}")
    return list(names)
