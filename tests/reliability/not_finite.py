"""A step whose input, loss or gradient is not finite never was, and a weight that is not finite is never saved."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal
from unittest import mock

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from shared.errors import InputError
from shared.training import loop, session
from tests.melodies import write_melodies
from tests.reliability.promise import Figure, Promise, Tier
from tests.reliability.runs import PLAN, SEGMENTATION, WAVENET, Craft, tensors_of
from tests.reliability.trial import trial
from wavenet.data import Recordings

BAD, STEPS = 4, 8
Losing = Callable[[Any], Tensor]


@dataclass(frozen=True)
class Fault:
    """What goes wrong in some steps of a run, counting from 1, and what must come of it.

    ``happens(model, batch, loss)`` is called in place of ``loss(batch)``. A step that is ``skipped`` changes nothing;
    a run is ``ended`` with the last checkpoint standing; or it is ``harmless``.
    """

    name: str
    craft: Craft
    happens: Callable[[nn.Module, Any, Losing], Tensor]
    then: Literal["skipped", "ended", "harmless"] = "skipped"
    steps: range = range(BAD, BAD + 1)
    save_every: int = 1


def input_with(value: float) -> Callable[[nn.Module, Any, Losing], Tensor]:
    """One number of the batch's pictures, or of its sound, is another."""

    def happens(_: nn.Module, batch: Any, loss: Losing) -> Tensor:
        batch[0][(0,) * batch[0].ndim] = value
        return loss(batch)

    return happens


def weight_with(value: float, buffer: bool = False) -> Callable[[nn.Module, Any, Losing], Tensor]:
    """One weight, or number of a batch norm's statistics, is another from then on."""

    def happens(model: nn.Module, batch: Any, loss: Losing) -> Tensor:
        found = [each for each in (model.buffers() if buffer else model.parameters()) if each.is_floating_point()]
        with torch.no_grad():
            found[len(found) // 2].view(-1)[0] = value
        return loss(batch)

    return happens


def nan(_: nn.Module, batch: Any, loss: Losing) -> Tensor:
    """The loss itself."""
    return loss(batch) * math.nan


def recordings_with_nan(folder: Path) -> tuple[Craft, Callable[[nn.Module, Any, Losing], Tensor]]:
    """Recordings in files that go bad after they were checked, as they would by a failing disk."""
    write_melodies(folder, [f"melody {at}" for at in range(4)], 1.0)

    def happens(_: nn.Module, batch: Any, loss: Losing) -> Tensor:
        for path in folder.glob("*.wav"):
            soundfile.write(path, np.full(16_000, math.nan, np.float32), 16_000, subtype="FLOAT")
        return loss(batch)

    return replace(WAVENET, run=replace(WAVENET.run, data=Recordings(path=str(folder)))), happens


def void(_: nn.Module, batch: Any, loss: Losing) -> Tensor:
    """No pixel has a label."""
    batch.masks.fill_(255)
    return loss(batch)


def faults(tier: Tier) -> list[Fault]:
    """Some of them, or all."""
    found = [
        Fault("NaN in a pixel", SEGMENTATION, input_with(math.nan)),
        Fault("NaN as the loss", WAVENET, nan),
        Fault("NaN in a weight", WAVENET, weight_with(math.nan), "ended"),
    ]
    if tier.name == "quick":
        return found
    recordings, gone_bad = recordings_with_nan(tier.folder("recordings"))
    found += [
        Fault("NaN in a recording", recordings, gone_bad, "ended"),
        Fault("inf in a sample", WAVENET, input_with(math.inf), "harmless"),
        Fault("NaN as the loss", SEGMENTATION, nan),
        Fault("inf in a pixel", SEGMENTATION, input_with(math.inf)),
        Fault("a picture without labels", SEGMENTATION, void, "harmless"),
        Fault("inf in batch-norm statistics", SEGMENTATION, weight_with(math.inf, buffer=True), "ended"),
    ]
    for craft in (SEGMENTATION, WAVENET):
        found += [
            Fault("inf as the loss", craft, lambda _, batch, loss: loss(batch) + math.inf),
            Fault("a gradient of NaN", craft, lambda _, batch, loss: (value := loss(batch)) + (0 * value).sqrt()),
            Fault("NaN in a weight between saves", craft, weight_with(math.nan), "ended", save_every=BAD - 1),
            Fault("inf in a weight", craft, weight_with(math.inf), "ended"),
            Fault("ten bad batches", craft, nan, "ended", range(BAD, 99)),
        ]
    return found


def goes_wrong(fault: Fault) -> Any:
    """Within, it does."""
    optimise = loop.optimise

    def spoilt(model: nn.Module, loss: Losing, *given: Any, **options: Any) -> Iterator[loop.Progress]:
        at = itertools.count(options["start"] + 1)

        def computed(batch: Any) -> Tensor:
            return fault.happens(model, batch, loss) if next(at) in fault.steps else loss(batch)

        return optimise(model, computed, *given, **options)

    return mock.patch.object(session, "optimise", spoilt)


def numbers(folder: Path) -> dict[str, Tensor]:
    """All that a checkpoint holds but the random state, which a step that is skipped uses up too."""
    return {name: value for name, value in tensors_of(folder).items() if not name.endswith("random")}


def alike(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether all numbers are the same, bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def tried(fault: Fault, folder: Path, naive: bool) -> dict[str, bool]:
    """Whether what came of it is as it must be, and whether all that was saved is finite."""
    craft = fault.craft.with_settings(save_every=fault.save_every, evaluations=1, previews=0)
    save, saved, error, said = session.Session.save, {}, "", io.StringIO()

    def noted(self: session.Session) -> None:
        save(self)
        saved[self.step] = numbers(self.folder)

    with ExitStack() as within:
        within.enter_context(goes_wrong(fault))
        within.enter_context(mock.patch.object(session.Session, "save", noted))
        within.enter_context(redirect_stderr(said))
        if naive:
            unguarded = SimpleNamespace(**{**vars(math), "isfinite": lambda _: True})
            within.enter_context(mock.patch.object(loop, "math", unguarded))
            within.enter_context(mock.patch.object(session, "_finite", return_value=True))
        try:
            craft.go(folder, replace(PLAN, steps=20 if len(fault.steps) > 1 else STEPS, quiet=False))
        except InputError as found:
            error = str(found)
    left, named = numbers(folder), f"step {BAD} is skipped" in said.getvalue() and "; it saw " in said.getvalue()
    finite = all(all_finite(each.values()) for each in (*saved.values(), left))
    if fault.then == "skipped":
        right = not error and named and alike(saved[BAD], saved[BAD - 1]) and not alike(saved[BAD], saved[BAD + 1])
    elif fault.then == "ended":
        right = "finite" in error and alike(left, saved[max(saved)])
    else:
        right = not error
    return {"right": right, "finite": finite}


def all_finite(values: Iterable[Tensor]) -> bool:
    """Whether all numbers of all tensors are."""
    return all(bool(torch.isfinite(value).all()) for value in values if value.is_floating_point())


def examined(tier: Tier, naive: bool) -> Figure:
    """Every fault in a run of its own."""
    found = {}
    for at, fault in enumerate(faults(tier)):
        outcome = trial(lambda: tried(fault, tier.scratch / str(at), naive))  # noqa: B023 (called at once)
        found[f"{fault.craft.name}: {fault.name}"] = outcome.answer or {"right": False, "finite": False}
    held = sum(all(each.values()) for each in found.values())
    spoilt = sum(not each["finite"] for each in found.values())
    said = (
        f"{held} of {len(found)} faults (in pixel, sample, loss, gradient, weight, statistics) left weights, "
        f"batch-norm statistics, average and optimizer bit-equal; {spoilt} runs saved what is not finite"
    )
    return Figure(held, len(found), said, found)


PROMISE = Promise(
    number=12,
    guarantee="NaN never reaches a checkpoint, nor the statistics of batch norm: a bad batch is skipped, and what it "
    "held is named; after ten in a row, or a weight that is not finite, the run ends and its last checkpoint stands.",
    naive="the same loop without the check",
    proof=lambda tier: examined(tier, naive=False),
    control=lambda tier: examined(tier, naive=True),
)
