"""Two runs cannot write to one folder, nor two generators to one file; and what a kill leaves half written goes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from shared.errors import InputError
from shared.training import run_folder
from shared.training.session import Session
from tests.reliability.promise import Figure, Promise, Tier
from tests.reliability.runs import PLAN, SEGMENTATION, WAVENET, Craft, litter, steps_told
from tests.reliability.trial import trial
from tests.teams import as_team
from wavenet import wav
from wavenet.wav import WavWriter

SHORT = replace(PLAN, steps=3)
WAIT = 60  # seconds


def racing(count: int, work: Callable[[Callable[[], Any]], Any]) -> list[str]:
    """Call ``work(meet)`` in so many processes at once: for each an error that it ends with, or nothing.

    Who comes through calls ``meet`` on the way, which waits until all others do so too or were refused.
    """
    context = multiprocessing.get_context("fork")
    begin, met, said = context.Barrier(count), context.Barrier(count), context.SimpleQueue()

    def racer() -> None:
        meet = cache(lambda: met.wait(WAIT))  # once
        begin.wait(WAIT)
        try:
            work(meet)
            said.put("")
        except InputError as error:
            meet()
            said.put(str(error))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, in newer Pythons
        racers = [context.Process(target=racer) for _ in range(count)]
        for each in racers:
            each.start()
    for each in racers:
        each.join(WAIT)
        each.kill()
    return [said.get() for _ in racers if not said.empty()]


def started(folder: Path, meet: Callable[[], Any]) -> None:
    """Start a run there."""
    opened = Session.open

    def met(self: Session, *given: Any) -> None:
        meet()
        opened(self, *given)

    with mock.patch.object(Session, "open", met):
        WAVENET.trainer.start(WAVENET.run, folder, SHORT, overwrite=True)


def one_won(said: list[str], name: str) -> bool:
    """Whether one of two got through, and the other was told in one line why not."""
    through, *refused = sorted(said) or ["nobody"]
    told = [name in text and "another process" in text and "\n" not in text for text in refused]
    return not through and told == [True]


def races(folder: Path, count: int) -> int:
    """How many races of two runs for a new folder have one winner, with a diary of its own."""
    won = 0
    for at in range(count):
        place = folder / str(at)
        won += one_won(racing(2, partial(started, place)), str(place)) and steps_told(place) == [1, 2, 3]
    return won


def races_for_a_sound(folder: Path, count: int) -> int:
    """How many races of two generators for one WAV have one winner, whose sound is whole."""
    won = 0
    for at in range(count):
        path = folder / f"{at}.wav"

        def write(meet: Callable[[], Any], path: Path = path) -> None:
            with WavWriter(path, overwrite=True) as file:
                file.write(np.full(500, 0.5))
                meet()
                file.write(np.full(500, 0.5))

        won += one_won(racing(2, write), str(path)) and path.stat().st_size == wav.HEADER + 2 * 1000
    return won


def killed_while_saving(craft: Craft, folder: Path, at: int) -> bool:
    """Whether a run that is killed inside a save, at its ``at``-th sync, can be gone on with and leaves no rubbish."""
    sync, left = os.fsync, iter(range(at))

    def killing(descriptor: int) -> None:
        sync(descriptor)
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    with mock.patch.object(os, "fsync", killing):
        ended = trial(lambda: craft.go(folder)).signal
    return ended == signal.SIGKILL and bool(trial(lambda: craft.go(folder)).answer) and not litter(folder)


def locked_by_a_team(folder: Path) -> bool:
    """Whether processes that share a run hold its folder together, and a kill of the first lets the next run in."""

    def outsider(meet: Callable[[], Any]) -> None:
        os.environ.pop("TORCHELASTIC_RUN_ID", None)
        started(folder, meet)

    def second() -> str:
        return racing(1, outsider)[0]

    save, told = Session.save, folder.with_name("told")

    def saved(self: Session) -> None:
        save(self)
        if self.team.leads and self.step == 3:
            told.write_text(second())
            os.kill(os.getpid(), signal.SIGKILL)

    with mock.patch.object(Session, "save", saved):
        codes = as_team(2, WAVENET.trainer.start, WAVENET.run, folder, PLAN)
    return "another process" in told.read_text() and codes[0] == -signal.SIGKILL and not second()


def tried(tier: Tier) -> Figure:
    """All of it."""
    count = tier.count(1, 20)
    runs, sounds = races(tier.folder("runs"), count), races_for_a_sound(tier.folder("sounds"), count)
    kills = range(5, 25, tier.count(20, 2))
    clean = sum(killed_while_saving(SEGMENTATION, tier.scratch / f"killed-{at}", at) for at in kills)
    said = (
        f"{runs} of {count} races for a folder and {sounds} of {count} for a WAV had one winner, the other refused in "
        f"one line; after {clean} of {len(kills)} kills inside saves the next start left no stale file"
    )
    held, of = runs + sounds + clean, 2 * count + len(kills)
    if tier.name == "full":
        team = locked_by_a_team(tier.scratch / "team")
        held, of, said = held + team, of + 1, f"{said}; two processes of one run hold it together: {team}"
    return Figure(held, of, said)


def control(tier: Tier) -> Figure:
    """Without a lock."""
    count = tier.count(1, 5)
    unlocked = mock.patch.object(run_folder, "only_writer", return_value=nullcontext())
    with unlocked, mock.patch.object(wav, "lock", return_value=True):
        runs, sounds = races(tier.folder("runs"), count), races_for_a_sound(tier.folder("sounds"), count)
    return Figure(runs + sounds, 2 * count, f"{runs} of {count} and {sounds} of {count} had one winner")


PROMISE = Promise(
    number=16,
    guarantee="Two runs never write to one folder, nor two commands to one WAV: the second is refused at once, in one "
    "line. What a kill leaves half written in a run's folder is removed when the run goes on.",
    naive="no lock (of the races)",
    proof=tried,
    control=control,
)
