"""How a run begins and goes on, up to its first step: alike in both crafts, and in all processes of a team.

A craft gives ``train(run, folder, plan, state, team)``, and ``read``, which makes its run of what ``config.json`` has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from shared.config import to_json
from shared.training.moved import moved
from shared.training.processes import Team, joined
from shared.training.run_folder import begun, claim, saved, writing
from shared.training.settings import Plan

Run, Outcome = TypeVar("Run"), TypeVar("Outcome")


@dataclass(frozen=True)
class Entrance(Generic[Run, Outcome]):
    """Where the runs of a craft come in; ``state`` is that of the last checkpoint, None in a new run."""

    read: Callable[[dict[str, Any]], Run]
    train: Callable[[Run, Path, Plan, dict[str, Any] | None, Team], Outcome]

    def start(self, run: Run, folder: Path, plan: Plan, *, overwrite: bool) -> Outcome:
        """Train a new model into ``folder``, which must be empty or absent unless ``overwrite``.

        Where a team was started again after a loss, this goes on. What the first process is given, holds for all.
        """
        with joined(plan.device) as team, writing(folder, team, new=True):
            if begun(folder, team):
                return self._go_on(folder, plan, team)
            with team.agreeing():
                if team.leads:
                    claim(folder, plan, overwrite=overwrite)
            return self.train(self.read(team.told(to_json(run))), folder, plan, None, team)

    def resume(self, folder: Path, plan: Plan) -> Outcome:
        """Go on with the run of ``folder``."""
        with joined(plan.device) as team, writing(folder, team, new=False):
            return self._go_on(folder, plan, team)

    def _go_on(self, folder: Path, plan: Plan, team: Team) -> Outcome:
        with team.agreeing():
            values, state = saved(folder)
            run = moved(self.read(values), plan.data)
        if begun(folder, team):  # by the plan, which is not asked for twice
            plan = replace(plan, steps=None, minutes=None)
        return self.train(run, folder, plan, state, team)
