"""Training, top to bottom: a run value in, a run folder out. The folder is all that resuming needs.

``config.json`` the run · ``model.safetensors`` averaged weights · ``resume.safetensors`` everything to go on ·
``metrics.jsonl`` the diary · ``curve.png`` · ``previews/``
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from shared.config import from_json, to_json
from shared.errors import InputError
from shared.files import sweep
from shared.training import checkpoint, machine
from shared.training.average import WeightAverage
from shared.training.budget import Budget
from shared.training.interruption import Interruption
from shared.training.journal import Journal
from shared.training.loop import optimise, warmup_cosine
from shared.training.progress import ProgressLine, clock
from wavenet.data import Plucks, Source
from wavenet.data.excerpts import Batch, Excerpts
from wavenet.data.tracks import Tracks
from wavenet.evaluate import bits_per_sample
from wavenet.model import WaveNet, WaveNetConfig
from wavenet.yardsticks import Yardsticks, yardsticks

METRICS, CURVE, PREVIEWS = "metrics.jsonl", "curve.png", "previews"


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to train; what is trained is a ``WaveNetConfig``."""

    batch: int = 2
    """Excerpts a step."""
    targets: int = 8192
    """Samples predicted in each excerpt; more means less context computed for nothing."""
    accumulate: int = 1
    """Batches a step, for larger steps than memory holds."""
    learning_rate: float = 3e-3
    """At its peak; it falls to 0 along half a cosine."""
    warmup: int = 100
    """Steps until the peak."""
    weight_decay: float = 0.01
    """AdamW's."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    ema: float = 0.999
    """Decay of the averaged weights, which are the ones that are evaluated and published."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the products; weights are float32 always."""
    validation: float = 0.1
    """Share of the files held back."""
    evaluations: int = 20
    """How often to measure validation bits, spread over the run."""
    excerpts: int = 16
    """How many fixed excerpts validation measures."""
    save_every: int = 250
    """Steps between checkpoints."""
    previews: int = 2
    """How many preview sounds to write, spread over the run, the last at its end."""
    preview_seconds: float = 1.0
    """Their length."""
    seed: int = 0
    """Of the first weights and of the order of the excerpts."""

    def __post_init__(self):
        for name in ("batch", "targets", "accumulate", "save_every", "excerpts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.learning_rate > 0 or not 0 <= self.ema < 1 or not 0 < self.validation < 1:
            raise ValueError("learning_rate must be positive, ema and validation between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that a training run is."""

    data: Source = Plucks()
    """Where the sound comes from."""
    model: WaveNetConfig = WaveNetConfig()
    """The network."""
    train: TrainConfig = TrainConfig()
    """How it is trained."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    folder: Path
    step: int
    seconds: float
    bits: float
    """Validation bits per sample of the averaged weights, at the end."""
    yardsticks: Yardsticks
    interrupted: bool


@dataclass(frozen=True)
class Plan:
    """What is asked of this process: how long, on what, how loudly. None means as before, or the default."""

    steps: int | None = None
    minutes: float | None = None
    device: str = "auto"
    threads: int | None = None
    quiet: bool = False


def start(run: Run, folder: Path, plan: Plan, *, overwrite: bool = False) -> Outcome:
    """Train a new model into ``folder``, which must be empty or absent unless ``overwrite``."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; -o takes the folder of the run")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise InputError(f"{folder}: is not empty; go on with --resume {folder}, or start again with --overwrite")
    if plan.steps is None and plan.minutes is None:
        raise InputError("how long to train? give --steps or --minutes")
    return _train(run, folder, plan, state=None)


def resume(folder: Path, plan: Plan) -> Outcome:
    """Go on with the run of ``folder``, bit for bit as if it had not stopped (same CPU, same thread count)."""
    values = checkpoint.load_config(folder)
    if "data" not in values:
        raise InputError(f"{folder}: a saved model, not a training run; it can generate, but not be resumed")
    state = checkpoint.training_state(folder)
    return _train(from_json(Run, values), folder, plan, state)


def _train(run: Run, folder: Path, plan: Plan, state: dict[str, Any] | None) -> Outcome:
    config = run.train
    machine.keep_memory()
    device = machine.device_named(plan.device)
    threads = machine.use_threads(plan.threads or (state["threads"] if state else None))
    precision = machine.precision_named(state["precision"] if state else config.precision, device)
    line = ProgressLine("training", plan.quiet)
    with line, Interruption() as interruption:
        tracks = _loaded(run, line)
        if state is None:  # only now that the data are known to be good
            _cleared(folder)
            checkpoint.save_config(folder, to_json(run))
        sweep(folder)

        torch.manual_seed(config.seed)
        model = WaveNet(run.model).to(device)
        average = WeightAverage(model, config.ema)
        optimizer = torch.optim.AdamW(_decayed(model, config.weight_decay), lr=config.learning_rate, fused=True)
        if state is not None:
            checkpoint.load_training(folder, model, average, optimizer)
        first = state["step"] if state else 0
        budget = _budget(plan, state)
        journal = Journal(folder / METRICS, resumed_step=first)
        excerpts = Excerpts(tracks.train, model.receptive_field, config.targets, config.batch, config.seed)
        measured = Yardsticks(**state["yardsticks"]) if state else _measured(tracks, config)
        line.say(_introduction(model, tracks, measured, device, threads, precision))

        def loss(batch: Batch) -> Tensor:
            return (model.nll(batch.wave) * batch.weight).sum() / batch.weight.sum()

        def batches() -> Iterator[Batch]:
            for at in itertools.count(first * config.accumulate):
                yield excerpts.batch(at).to(device)

        def rate(step: int) -> float:
            return warmup_cosine(config.learning_rate, step, config.warmup, budget.fraction(step))

        def evaluate(step: int) -> float:
            with average.swapped_in(model):
                bits = bits_per_sample(model, tracks.validation, targets=config.targets, most=config.excerpts).bits
            journal.write(step=step, seconds=budget.elapsed, validation_bits=bits)
            return bits

        def save(step: int) -> None:
            with average.swapped_in(model):
                checkpoint.save_weights(folder, model)
            checkpoint.save_training(
                folder, model, average, optimizer, _state(step, budget, threads, precision, measured)
            )

        def preview(step: int) -> None:
            with average.swapped_in(model):
                clip = model.eval().generate(config.preview_seconds, seed=config.seed)
            model.train()
            (folder / PREVIEWS).mkdir(exist_ok=True)
            clip.save(folder / PREVIEWS / f"step-{step:06}.wav", overwrite=True)

        step, bits, smooth = first, math.nan, math.nan
        budget.begin()
        evaluated, previewed = budget.fraction(first), budget.fraction(first)
        for progress in optimise(
            model, loss, batches(), optimizer, learning_rate=rate, clip=config.clip,
            accumulate=config.accumulate, precision=precision, start=first,
        ) if budget.fraction(first) < 1 else ():  # fmt: skip
            step = progress.step
            if not progress.skipped:
                average.update(model)
            here = progress.loss / math.log(2)
            smooth = here if math.isnan(smooth) else smooth + 0.02 * (here - smooth)
            speed = (
                (step - first)
                * config.batch
                * config.targets
                * config.accumulate
                / max(1e-9, budget.elapsed - budget.spent)
            )
            journal.write(step=step, seconds=budget.elapsed, bits=here, rate=progress.learning_rate,
                          norm=progress.gradient_norm, skipped=progress.skipped)  # fmt: skip
            fraction = budget.fraction(step)
            left = clock(budget.seconds_left(step, first))
            line.update(fraction, f"step {step} · {smooth:.3f} bits · {speed:,.0f} samples/s · {left} left")
            done = fraction >= 1 or interruption.requested
            if step % config.save_every == 0 or done:
                save(step)
            if done:
                break
            if fraction - evaluated >= 1 / max(1, config.evaluations):
                evaluated, bits = fraction, evaluate(step)
                line.say(
                    f"step {step:6} · {smooth:.3f} bits training · {bits:.3f} validation · "
                    f"{speed:,.0f} samples/s · {left} left"
                )
            if config.previews > 1 and fraction - previewed >= 1 / config.previews:
                previewed = fraction
                preview(step)

        if not (interruption.requested and math.isnan(bits)):
            bits = evaluate(step)
        if config.previews and not interruption.requested:
            preview(step)
        _draw(folder, measured)
        return Outcome(folder, step, budget.elapsed, bits, measured, interruption.requested)


def _loaded(run: Run, line: ProgressLine) -> Tracks:
    tracks = run.data.load(run.train.validation, lambda done, total: line.update(done / total, "reading the data"))
    for remark in tracks.remarks:
        line.say(remark)
    if not tracks.validation:
        raise InputError("nothing left to validate on: give at least two recordings, or one longer one")
    return tracks


def _cleared(folder: Path) -> None:
    """Remove what an earlier run left; only what runs write, never anything else."""
    folder.mkdir(parents=True, exist_ok=True)
    old = [folder / name for name in (METRICS, CURVE, checkpoint.CONFIG, checkpoint.MODEL, checkpoint.RESUME)]
    for path in [*old, *(folder / PREVIEWS).glob("step-*.wav")]:
        path.unlink(missing_ok=True)


def _decayed(model: WaveNet, decay: float) -> list[dict[str, Any]]:
    """Weight decay is for matrices; biases and the input table keep their place."""
    matrices = [p for name, p in model.named_parameters() if p.ndim > 1 and not name.startswith("input")]
    others = [p for name, p in model.named_parameters() if p.ndim <= 1 or name.startswith("input")]
    return [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def _budget(plan: Plan, state: dict[str, Any] | None) -> Budget:
    spent = state["seconds"] if state else 0.0
    steps, seconds = plan.steps, plan.minutes and plan.minutes * 60
    if state and steps is None and seconds is None:  # finish what was asked for
        return Budget(state["budget"]["steps"], state["budget"]["seconds"], spent)
    return Budget(steps, seconds and spent + seconds, spent)


def _measured(tracks: Tracks, config: TrainConfig) -> Yardsticks:
    return yardsticks(tracks.train, tracks.validation, targets=config.targets, most=config.excerpts)


def _state(step: int, budget: Budget, threads: int, precision: torch.dtype, measured: Yardsticks) -> dict[str, Any]:
    return {
        "step": step,
        "seconds": budget.elapsed,
        "budget": {"steps": budget.steps, "seconds": budget.seconds},
        "threads": threads,
        "precision": str(precision).removeprefix("torch."),
        "yardsticks": asdict(measured),
    }


def _introduction(
    model: WaveNet, tracks: Tracks, measured: Yardsticks, device: torch.device, threads: int, precision: torch.dtype
) -> str:
    train, held = tracks.minutes
    parameters = sum(parameter.numel() for parameter in model.parameters())
    seconds = model.receptive_field / model.sample_rate
    return (
        f"data: {train:.1f} minutes to train on, {held:.1f} held back\n"
        f"model: {parameters:,} parameters, receptive field {model.receptive_field} samples ({seconds:.3f} s), "
        f"on {device.type}, {threads} threads, {str(precision).removeprefix('torch.')}\n"
        f"to beat, in bits per sample on the held-back sound: {measured.order_0:.3f} (order-0 entropy), "
        f"{measured.linear_32:.3f} (linear predictor of order 32)"
    )


def _draw(folder: Path, measured: Yardsticks) -> None:
    from wavenet.figures import curve

    curve(Journal(folder / METRICS).records(), measured, folder / CURVE)
