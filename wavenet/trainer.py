"""Training, top to bottom: a run value in, a run folder out. The folder is all that resuming needs.

``config.json`` the run · ``model.safetensors`` averaged weights · ``resume.safetensors`` everything to go on ·
``metrics.jsonl`` the diary · ``curve.png`` · ``previews/``
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

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
from wavenet import figures
from wavenet.data.excerpts import Batch, Excerpts
from wavenet.data.tracks import Tracks
from wavenet.evaluate import bits_per_sample
from wavenet.model import WaveNet
from wavenet.run import CURVE, METRICS, PREVIEWS, Outcome, Plan, Run
from wavenet.sampler import stream
from wavenet.wav import WavWriter
from wavenet.yardsticks import Yardsticks, yardsticks

MOST_LOOKING = 0.05  # of the time may go into evaluations on the way; short runs have fewer


def start(run: Run, folder: Path, plan: Plan, *, overwrite: bool = False) -> Outcome:
    """Train a new model into ``folder``, which must be empty or absent unless ``overwrite``."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; -o takes the folder of the run")
    if folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            raise InputError(f"{folder}: is not empty; go on with --resume {folder}, or start again with --overwrite")
        if (folder / checkpoint.CONFIG).exists() and "train" not in checkpoint.load_config(folder):
            raise InputError(f"{folder}: holds a model that is not a training run's; --overwrite is for runs")
    if plan.steps is None and plan.minutes is None:
        raise InputError("how long to train? give --steps or --minutes")
    return _train(run, folder, plan, state=None)


def resume(folder: Path, plan: Plan) -> Outcome:
    """Go on with the run of ``folder``.

    With the steps that it was started with, on the same data, CPU and number of threads, it ends bit for bit as if it
    had not stopped. A budget in minutes follows the clock, which no two runs share.
    """
    values = checkpoint.load_config(folder)
    if "data" not in values:
        raise InputError(f"{folder}: a saved model, not a training run; it can generate, but not be resumed")
    return _train(from_json(Run, values), folder, plan, checkpoint.training_state(folder))


def _train(run: Run, folder: Path, plan: Plan, state: dict[str, Any] | None) -> Outcome:
    config = run.train
    machine.keep_memory()
    device = machine.device_named(plan.device)
    threads = machine.use_threads(plan.threads or (state["threads"] if state else None))
    precision = machine.precision_named(state["precision"] if state else config.precision, device)
    with ProgressLine("training", plan.quiet) as line:
        tracks = _loaded(run, line)
        torch.manual_seed(config.seed)
        model = WaveNet(run.model).to(device)
        average = WeightAverage(model, config.ema)
        optimizer = torch.optim.AdamW(_decayed(model, config.weight_decay), lr=config.learning_rate, fused=True)
        if state is not None:
            checkpoint.load_training(folder, model, average, optimizer)
        step = first = state["step"] if state else 0
        excerpts = Excerpts(tracks.train, model.receptive_field, config.targets, config.batch, config.seed)
        fingerprint = tracks.fingerprint
        same = state is not None and state.get("data") == fingerprint
        if state is not None and not same:
            line.say("the data are not what they were when this run was saved: going on with what is there now")
        measured = Yardsticks(**state["yardsticks"]) if same else _measured(run, tracks)
        line.say(_introduction(model, tracks, measured, device, threads, precision, config.seed))
        budget = _budget(plan, state)

        def loss(batch: Batch) -> Tensor:
            return (model.nll(batch.wave) * batch.weight).sum() / batch.weight.sum()

        def batches() -> Iterator[Batch]:
            for at in itertools.count(first * config.accumulate):
                try:
                    yield excerpts.batch(at).to(device)
                except InputError as error:  # a file has vanished or gone bad since it was checked
                    save(step)
                    raise InputError(f"{error}; step {step} is saved, so then --resume {folder}") from None

        def learning_rate(step: int) -> float:
            return warmup_cosine(config.learning_rate, step, config.warmup, budget.fraction(step))

        def evaluate(step: int) -> float:
            with average.swapped_in(model):
                bits = bits_per_sample(model, tracks.validation, targets=config.targets, most=config.excerpts).bits
            journal.write(step=step, seconds=budget.elapsed, validation_bits=bits)
            return bits

        def save(step: int) -> None:
            note = {
                "step": step,
                "seconds": budget.elapsed,
                "budget": {"steps": budget.steps, "seconds": budget.seconds},
                "threads": threads,
                "precision": _name(precision),
                "yardsticks": asdict(measured),
                "data": fingerprint,
            }
            if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
                raise InputError(
                    f"{folder}: the weights are no longer finite at step {step}; the last checkpoint stands"
                )
            with average.swapped_in(model):
                checkpoint.save_weights(folder, model)
            checkpoint.save_training(folder, model, average, optimizer, note)

        def preview(step: int) -> None:
            (folder / PREVIEWS).mkdir(exist_ok=True)
            samples = round(config.preview_seconds * model.sample_rate)
            with (
                average.swapped_in(model),
                WavWriter(folder / PREVIEWS / f"step-{step:06}.wav", overwrite=True) as file,
            ):
                for block in stream(model, samples, seeds=[config.seed]):
                    file.write(block[0].numpy())
                    if interruption.requested:
                        break

        if state is None:  # only now that the data are known to be good
            _clear(folder)
            checkpoint.save_config(folder, to_json(run))
            save(step)
        sweep(folder)
        journal = Journal(folder / METRICS, resumed_step=first)
        bits, smooth, looking = math.nan, math.nan, 0.0
        evaluations, previews = (
            Milestones(count, budget.fraction(first)) for count in (config.evaluations, config.previews)
        )
        steps = optimise(
            model,
            loss,
            batches(),
            optimizer,
            learning_rate=learning_rate,
            clip=config.clip,
            accumulate=config.accumulate,
            precision=precision,
            start=first,
        )
        if budget.fraction(first) >= 1:
            line.say(f"all that was asked for is done, at step {first}; --steps or --minutes ask for more")
        budget.begin()
        with Interruption() as interruption:
            for progress in steps if budget.fraction(first) < 1 else ():
                step = progress.step
                if not progress.skipped:
                    average.update(model)
                here = progress.loss / math.log(2)
                smooth = here if math.isnan(smooth) else smooth + 0.02 * (here - smooth)
                pace = (step - first) / budget.elapsed_here * config.accumulate * config.batch * config.targets
                journal.write(
                    step=step,
                    seconds=budget.elapsed,
                    bits=here,
                    learning_rate=progress.learning_rate,
                    gradient_norm=progress.gradient_norm,
                    skipped=progress.skipped,
                )
                fraction = budget.fraction(step)
                left = f"{pace:,.0f} samples/s · {clock(budget.seconds_left(step, first))} left"
                line.update(fraction, f"step {step} · {smooth:.3f} bits · {left}")
                done = fraction >= 1 or interruption.requested
                if done or step % config.save_every == 0:
                    save(step)
                if done:
                    break
                if evaluations.passed(fraction) and looking < MOST_LOOKING * budget.elapsed_here:
                    began = budget.elapsed
                    bits = evaluate(step)
                    looking += budget.elapsed - began
                    line.say(f"step {step:6} · {smooth:.3f} bits training · {bits:.3f} validation · {left}")
                if previews.passed(fraction):
                    preview(step)

            stopped = interruption.requested
            if not stopped:
                bits = evaluate(step)
                if config.previews:
                    preview(step)
        figures.curve(journal.records(), measured, folder / CURVE)
        return Outcome(folder, step, budget.elapsed, bits, measured, stopped)


class Milestones:
    """``count`` equal parts of a budget; ``passed`` is true once at the end of each, but not of the last."""

    def __init__(self, count: int, fraction: float):
        self.count, self.reached = count, int(fraction * count)

    def passed(self, fraction: float) -> bool:
        """Has another part come to its end?"""
        if self.reached + 1 < self.count and fraction * self.count >= self.reached + 1:
            self.reached = int(fraction * self.count)
            return True
        return False


def _loaded(run: Run, line: ProgressLine) -> Tracks:
    tracks = run.data.load(run.train.validation, lambda done, total: line.update(done / total, "reading the data"))
    for remark in tracks.remarks:
        line.say(remark)
    if not tracks.validation:
        raise InputError("nothing left to validate on: give at least two recordings, or one longer one")
    return tracks


def _measured(run: Run, tracks: Tracks) -> Yardsticks:
    config = run.train
    classes = run.model.output.classes
    return yardsticks(tracks.train, tracks.validation, classes=classes, targets=config.targets, most=config.excerpts)


def _clear(folder: Path) -> None:
    """Remove what an earlier run left; only what runs write, never anything else."""
    folder.mkdir(parents=True, exist_ok=True)
    names = (METRICS, CURVE, checkpoint.CONFIG, checkpoint.MODEL, checkpoint.RESUME)
    for path in [*(folder / name for name in names), *(folder / PREVIEWS).glob("step-*.wav")]:
        path.unlink(missing_ok=True)


def _decayed(model: WaveNet, decay: float) -> list[dict[str, Any]]:
    """Weight decay is for matrices; biases and the input table keep their place."""
    groups: tuple[list, list] = ([], [])
    for name, parameter in model.named_parameters():
        groups[parameter.ndim > 1 and not name.startswith("input.")].append(parameter)
    return [{"params": groups[True], "weight_decay": decay}, {"params": groups[False], "weight_decay": 0.0}]


def _budget(plan: Plan, state: dict[str, Any] | None) -> Budget:
    spent = state["seconds"] if state else 0.0
    if state and plan.steps is None and plan.minutes is None:  # finish what was asked for
        return Budget(state["budget"]["steps"], state["budget"]["seconds"], spent)
    return Budget(plan.steps, plan.minutes and spent + 60 * plan.minutes, spent)


def _introduction(
    model: WaveNet,
    tracks: Tracks,
    measured: Yardsticks,
    device: torch.device,
    threads: int,
    precision: torch.dtype,
    seed: int,
) -> str:
    train, held = tracks.minutes
    parameters = sum(parameter.numel() for parameter in model.parameters())
    seconds = model.receptive_field / model.sample_rate
    return (
        f"data: {train:.1f} minutes to train on, {held:.1f} held back\n"
        f"model: {parameters:,} parameters, receptive field {model.receptive_field} samples ({seconds:.3f} s), "
        f"on {device.type}, {threads} threads, {_name(precision)}, seed {seed}\n"
        f"to beat, in bits per sample on the held-back sound: {measured.order_0:.3f} (order-0 entropy), "
        f"{measured.linear_32:.3f} (linear predictor of order 32)"
    )


def _name(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")
