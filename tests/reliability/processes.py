"""Two processes that share a run take the steps of one, whatever each of them holds of a step."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from shared.training.loop import optimise
from shared.training.processes import Team, joined
from tests.melodies import write_melodies
from tests.reliability.promise import Figure, Promise, Tier
from tests.reliability.runs import WAVENET
from tests.wavenet.teams import as_team
from wavenet.data import Recordings
from wavenet.data.excerpts import Batch, Excerpts
from wavenet.model import WaveNet

STEPS, BATCH, TARGETS = 20, 3, 250
SECONDS = (0.01, 0.02, 0.4, 0.004, 0.5, 0.013, 0.3)  # excerpts past the end of a recording count what they hold
RATES = {"AdamW": 1e-2, "SGD": 0.3}
ALLOWED = {torch.float32: 1e-6, torch.float64: 1e-12}


@dataclass(frozen=True)
class Case:
    """What is trained how."""

    recordings: Path
    optimizer: str
    dtype: torch.dtype
    accumulate: int
    naive: bool
    """Whether each process takes the mean of what it has, and all take the mean of those."""

    def train(self, out: Path) -> None:
        """Take the steps, as one of a team or alone; the first process writes the weights."""
        torch.set_num_threads(1)
        with joined("cpu") as team:
            weights = self._weights(team)
        if team.leads:
            torch.save(weights, out)

    def _weights(self, team: Team) -> Tensor:
        tracks = Recordings(path=str(self.recordings)).load(0.1, None).whole
        torch.manual_seed(0)
        model = WaveNet(WAVENET.run.model).to(self.dtype)
        batch, accumulate = (BATCH * self.accumulate, 1) if self.naive else (BATCH, self.accumulate)
        excerpts = Excerpts(tracks, model.receptive_field, TARGETS, batch, seed=0)
        optimizer = getattr(torch.optim, self.optimizer)(model.parameters(), lr=RATES[self.optimizer])

        def loss(batch: Batch) -> Tensor:
            sums = (model.nll(batch.wave.to(self.dtype), batch.condition) * batch.weight).sum()
            return sums / batch.weight.sum() if self.naive else sums

        def batches() -> Iterator[Batch]:
            for step in itertools.count():
                yield from excerpts.step(step, accumulate, team)

        def weight(batch: Batch) -> float:
            return 1.0 if self.naive else float(batch.weight.sum())

        steps = optimise(
            model, loss, batches(), optimizer,
            learning_rate=lambda _: RATES[self.optimizer], accumulate=accumulate, weight=weight, team=team,
        )  # fmt: skip
        for _ in itertools.islice(steps, STEPS):
            pass
        return torch.nn.utils.parameters_to_vector(model.parameters()).detach()


def distance(case: Case, folder: Path) -> float:
    """Between the weights that two processes and one come to."""
    one, two = folder / "one", folder / "two"
    assert as_team(1, case.train, one) == [0]
    assert as_team(2, case.train, two) == [0, 0]
    return float((torch.load(one, weights_only=True) - torch.load(two, weights_only=True)).abs().max())


def compared(tier: Tier, naive: bool) -> Figure:
    """The distances, and how many are as small as promised."""
    recordings = write_melodies(tier.folder("recordings"), [f"melody {at}" for at in range(len(SECONDS))], *SECONDS)
    cases = [
        Case(recordings, optimizer, dtype, accumulate, naive)
        for optimizer, accumulate in (("AdamW", 4), ("SGD", 1))
        for dtype in ALLOWED
    ]
    found = {}
    for case in cases[-tier.count(2, 4) :]:
        name = f"{case.optimizer}, {str(case.dtype).removeprefix('torch.')}, {BATCH} × {case.accumulate} examples"
        found[name] = (distance(case, tier.folder(str(len(found)))), ALLOWED[case.dtype])
    held = sum(value <= allowed for value, allowed in found.values())
    said = "largest difference: " + "; ".join(f"{value:.0e} ({name})" for name, (value, _) in found.items())
    return Figure(held, len(found), said, {name: value for name, (value, _) in found.items()})


PROMISE = Promise(
    number=6,
    guarantee="`wavenet train --procs 2` trains what one process does: weights differ by rounding alone (1e-6 in "
    "float32, 1e-12 in float64, after 20 steps), however unequal the shares of a step are.",
    naive="the mean of each process's own mean",
    proof=lambda tier: compared(tier, naive=False),
    control=lambda tier: compared(tier, naive=True),
)
