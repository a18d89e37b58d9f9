"""Checkpoints with flipped bits, and cut ones: what is loaded from their folders, if anything."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import safetensors.torch
import torch

from segmentation.weights import read_published
from shared.errors import InputError
from shared.training import checkpoint
from tests.reliability import small_run
from tests.reliability.promise import Figure, Promise, Tier

BEFORE, LAST = 2, 4  # steps of the two checkpoints
PTH = "weights.pth"
Answer = str | None
"""A digest of what was loaded; None: refused in one line."""


def proof(tier: Tier) -> Figure:
    """Through the gates: the last checkpoint falls back to the one before, all else is refused.

    White space in a configuration, and padding in an archive, may change without any harm.
    """
    folder, digests = _prepared(tier)
    published = _digest(read_published(folder / PTH))
    readers = {
        checkpoint.RESUME: (lambda: small_run.State.loaded(folder)[0].digest(), {digests[BEFORE]}),
        checkpoint.MODEL: (lambda: _model(folder), {None}),
        checkpoint.CONFIG: (lambda: repr(checkpoint.load_config(folder)), {None, repr(small_run.CONFIG)}),
        PTH: (lambda: _digest(read_published(folder / PTH)), {None, published}),
    }
    held, of = _damaged(tier, folder, {name: _caught(*reader) for name, reader in readers.items()})
    ended = _goes_on(folder, digests)
    said = (
        f"{of - held} of {of:,} loaded wrong; each damaged resume.safetensors fell back to the one before, and the run "
        f"then ended {'bit-equal' if ended else 'OTHERWISE'}"
    )
    return Figure(held + ended, of + 1, said)


def control(tier: Tier) -> Figure:
    """Through the libraries as they are; a JSON file as it is has no check at all."""
    folder, _ = _prepared(tier)
    right = (
        _digest(safetensors.torch.load_file(folder / checkpoint.RESUME)),
        _digest(torch.load(folder / PTH, weights_only=True)),
    )
    readers = {
        checkpoint.RESUME: (lambda: _digest(safetensors.torch.load_file(folder / checkpoint.RESUME)), {None, right[0]}),
        PTH: (lambda: _digest(torch.load(folder / PTH, weights_only=True)), {None, right[1]}),
    }
    held, of = _damaged(tier, folder, {name: _caught(*reader) for name, reader in readers.items()})
    return Figure(held, of, f"{of - held:,} of {of:,} loaded with wrong numbers")


def _prepared(tier: Tier) -> tuple[Path, dict[int, str]]:
    folder, digests = tier.scratch / "run", {}
    small_run.train(folder, BEFORE, digests.__setitem__)
    small_run.train(folder, LAST, digests.__setitem__)
    torch.save(small_run.State().model.state_dict(), folder / PTH)
    return folder, digests


def _caught(load: Callable[[], str], fine: set[Answer]) -> Callable[[], bool]:
    """Whether what is loaded is among what may be."""

    def answer() -> bool:
        try:
            return load() in fine
        except InputError as error:
            return None in fine and "\n" not in str(error)
        except Exception:  # the control's: refused, if not in one line
            return None in fine

    return answer


def _damaged(tier: Tier, folder: Path, readers: dict[str, Callable[[], bool]]) -> tuple[int, int]:
    dice, held, of = Random(tier.seed), 0, 0
    flips, cuts = tier.count(100, 1500), tier.count(20, 300)
    for at in range(flips + cuts):
        name = list(readers)[at % len(readers)]
        whole = (folder / name).read_bytes()
        content = bytearray(whole)
        if at < flips:
            for bit in dice.sample(range(8 * len(content)), dice.randint(1, 3)):
                content[bit // 8] ^= 1 << bit % 8
        else:
            del content[dice.randrange(len(content)) :]
        (folder / name).write_bytes(content)
        held += readers[name]()
        of += 1
        (folder / name).write_bytes(whole)
    return held, of


def _goes_on(folder: Path, digests: dict[int, str]) -> bool:
    """Whether a run with a damaged checkpoint and a damaged model repeats its last steps, and both are whole again."""
    for name in (checkpoint.RESUME, checkpoint.MODEL):
        content = bytearray((folder / name).read_bytes())
        content[-5] ^= 1
        (folder / name).unlink()  # previous.safetensors may be the same file
        (folder / name).write_bytes(content)
    aside = folder.with_name("damaged")
    shutil.copytree(folder, aside)
    ended = small_run.train(aside, LAST) == digests[LAST]
    state, step = small_run.State.loaded(aside)
    return ended and step == LAST and state.digest() == digests[LAST] and not checkpoint.faults(aside)


def _model(folder: Path) -> str:
    model = small_run.State().model
    checkpoint.load_weights(folder, model)
    return _digest(model.state_dict())


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    return repr([(name, value.shape, value.dtype, value.numpy().tobytes()) for name, value in sorted(tensors.items())])


PROMISE = Promise(
    number=11,
    guarantee="A damaged checkpoint is never used: one flipped bit in settings, weights or optimizer is noticed. A run "
    "goes on from the checkpoint before it, and says so; damaged settings are refused.",
    naive="safetensors and torch.load as they are",
    proof=proof,
    control=control,
)
