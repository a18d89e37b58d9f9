"""The folder of a run: who may write to it, and what it holds to go on with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from shared.errors import InputError
from shared.lock import only_writer
from shared.training import checkpoint
from shared.training.processes import ALONE, Team
from shared.training.settings import Plan


def claim(folder: Path, plan: Plan, *, overwrite: bool) -> None:
    """Make sure that a new run may be written to ``folder``: empty, absent, or an old run and ``overwrite``."""
    if folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            raise InputError(f"{folder}: is not empty; go on with --resume {folder}, or start again with --overwrite")
        a_model = (folder / checkpoint.CONFIG).exists() and not checkpoint.resumable(folder)
        if a_model and "train" not in checkpoint.load_config(folder):
            raise InputError(f"{folder}: holds a model that is not a training run's; --overwrite is for runs")
    if plan.steps is None and plan.minutes is None:
        raise InputError("how long to train? give --steps or --minutes")


@contextmanager
def writing(folder: Path, team: Team = ALONE, *, new: bool) -> Iterator[None]:
    """Within, the team is the only one that writes to a run's folder; InputError where another process does.

    The folder of a ``new`` run is made. One that is to be resumed, and is not there, is not: ``saved`` says so.
    """
    with ExitStack() as held:
        with team.agreeing():
            if team.leads and (new or folder.is_dir()):
                held.enter_context(only_writer(folder))
        yield


def begun(folder: Path, team: Team) -> bool:
    """Whether the team was started again after a loss and had saved to the folder before; all go by the first."""
    if team.restarts == 0:
        return False
    there = checkpoint.resumable(folder)
    return team.told(team.leads and there and checkpoint.training_state(folder).get("launch") == team.launch)


def saved(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration of a run to resume, and the ``state`` of its last checkpoint."""
    values = checkpoint.load_config(folder)
    if "train" not in values:
        raise InputError(f"{folder}: a saved model, not a training run; it can be used, but not be resumed")
    return values, checkpoint.training_state(folder)
