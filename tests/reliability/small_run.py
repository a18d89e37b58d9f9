"""A run of milliseconds, through the session that both crafts train in, and a digest of all that must come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor, nn

from shared.training import checkpoint
from shared.training.average import WeightAverage
from shared.training.progress import ProgressLine
from shared.training.session import Place, Session
from shared.training.settings import Plan, Settings

EVERY = 2  # steps between checkpoints
CONFIG = {"train": {"batch": 4, "rate": 0.001953125}, "data": {"path": "recordings", "names": ["ada", "zoë"]}}
SETTINGS = Settings(save_every=EVERY, warmup=0, learning_rate=0.01, ema=0.9)


class State:
    """Model, averaged weights and optimizer, as they are before the first step."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.2), nn.Linear(5, 2))
        self.average = WeightAverage(self.model, SETTINGS.ema)
        self.optimizer = torch.optim.AdamW(self.model.parameters())

    @classmethod
    def loaded(cls, folder: Path) -> tuple[State, int]:
        """What a folder brings back, and its step."""
        made = cls()
        return made, checkpoint.load_training(folder, made.model, made.average, made.optimizer)["step"]

    def digest(self) -> str:
        """Of every bit."""
        return digest(self.model, self.average, self.optimizer)


def train(folder: Path, steps: int, saved: Callable[[int, str], None] = lambda *_: None) -> str:
    """Train up to ``steps``, going on if there is a checkpoint; ``saved(step, digest)`` hears of each new one."""
    state = checkpoint.training_state(folder) if checkpoint.resumable(folder) else None
    made = State()
    place = Place(torch.device("cpu"), 1, torch.float32)
    line, plan = ProgressLine("training", quiet=True), Plan(steps=steps, quiet=True)
    session = Session(folder, SETTINGS, plan, place, made.model, made.optimizer, line, state, stated={})

    def batches() -> Iterator[Tensor]:
        while True:
            yield torch.randn(8, 4, generator=torch.Generator().manual_seed(session.step))

    def now() -> str:
        return digest(session.model, session.average, session.optimizer)

    def loss(batch: Tensor) -> Tensor:
        return session.model(batch).square().sum()

    with session:
        session.open(CONFIG)
        if state is None:
            saved(0, now())
        for progress in session.steps(loss, batches(), lambda *_: 0.01, "examples"):
            if progress.step % EVERY == 0 or progress.step == steps:
                saved(progress.step, now())
    return now()


def digest(model: nn.Module, average: WeightAverage, optimizer: torch.optim.Optimizer) -> str:
    """SHA-256 of weights, buffers, averages and the optimizer's memory."""
    found = sha256(str(average.updates).encode())
    memory = optimizer.state_dict()["state"]
    slots = {f"{at}.{name}": value for at, slot in sorted(memory.items()) for name, value in sorted(slot.items())}
    for part in (model.state_dict(), average.weights, slots):
        for name, value in sorted(part.items()):
            found.update(name.encode() + value.contiguous().numpy().tobytes())
    return found.hexdigest()
