"""A run on a disk that forgets whatever was not synced, cut off after every single operation."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

from shared.errors import InputError
from shared.training import checkpoint
from shared.training.journal import Journal
from shared.training.session import METRICS
from tests.reliability import small_run
from tests.reliability.disks import Platter, Remembering, on
from tests.reliability.promise import Figure, Promise, Tier


def proof(tier: Tier) -> Figure:
    """With the syncs that the product makes."""
    return _found(tier, Remembering())


def control(tier: Tier) -> Figure:
    """Aside and renamed, but never synced."""
    return _found(tier, Remembering(syncs=False))


def _found(tier: Tier, disk: Remembering) -> Figure:
    folder, digests = tier.scratch / "run", {}

    def saved(step: int, digest: str) -> None:
        digests[step] = digest
        disk.mark(step)

    with on(disk):
        small_run.train(folder, tier.count(2, 8), saved)
        small_run.train(folder, tier.count(4, 20), saved)  # resumed: the diary is cut and the configuration renewed
    most = tier.count(6, 15)  # of one crash point: more there are only where nothing is synced
    platter, promised, seen, dice = Platter(), None, set(), Random(tier.seed)
    points = states = lost = 0
    for what, *of in disk.log:
        if what == "mark":
            promised = of[0]
            continue
        platter.do(what, *of)
        if promised is None:
            continue
        points += 1
        found = {(promised, *sorted(state.items())) for state in (platter.killed(), *platter.states())} - seen
        seen |= found
        for _, *state in sorted(found) if len(found) <= most else dice.sample(sorted(found), most):
            states += 1
            lost += not _recovered(tier.scratch / "found", dict(state), promised, digests)
    said = (
        f"{points} crash points, {states:,} states of the disk: {lost:,} lost, older than promised, or ended otherwise"
    )
    return Figure(states - lost, states, said, {"points": points})


def _recovered(folder: Path, state: dict[str, bytes], promised: int, digests: dict[int, str]) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in state.items():
        (folder / name).write_bytes(content)
    try:
        whole = checkpoint.load_config(folder) == small_run.CONFIG
        found, step = small_run.State.loaded(folder)
        checkpoint.load_weights(folder, small_run.State().model)
        whole = whole and step >= promised and found.digest() == digests[step]
        last = max(digests)
        finished = small_run.train(folder, last) == digests[last] if step < last else True
        steps = [record["step"] for record in Journal(folder / METRICS, resumed_step=last).records()]
    except (InputError, OSError):
        return False
    return whole and finished and steps == list(range(1, last + 1))


PROMISE = Promise(
    number=2,
    guarantee="A power cut costs at most the steps since the last checkpoint: checkpoint and diary are on the disk "
    "when a save is done, and at every instant before that the one before is.",
    naive="the same files, written aside and renamed, but not synced",
    proof=proof,
    control=control,
)
