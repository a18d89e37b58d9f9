"""``wavenet demo``: from nothing to a sound in a few minutes. A plucked string teaches a small model its scale."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from shared.cli import seed_of
from shared.errors import InputError
from shared.files import numbered
from shared.training import machine
from shared.training.progress import clock
from shared.training.settings import Plan
from wavenet import audio, figures, trainer
from wavenet.commands.train import finished
from wavenet.data import Plucks
from wavenet.data.plucks import melody
from wavenet.distributions import Drawing
from wavenet.model import PRESETS, WaveNet
from wavenet.run import CURVE, Run, TrainConfig
from wavenet.sampler import stream
from wavenet.wav import WavWriter
from wavenet.writing import write_blocks

SOUND, PICTURE = "demo.wav", "real-and-generated.png"
DRAWING = Drawing(temperature=0.9)

MODEL = PRESETS["tiny"]
TRAIN = TrainConfig(learning_rate=1e-2, evaluations=8, previews=0)


def run(arguments: Namespace) -> int:
    """Train, generate, draw, and say what was made and what to try next."""
    seed = seed_of(arguments)
    if arguments.seconds * audio.RATE < 1:
        raise InputError(f"--seconds {arguments.seconds}: less than one sample")
    folder = Path(arguments.out) if arguments.out else numbered(Path("demo"))
    minutes = None if arguments.steps else arguments.minutes
    plan = Plan(arguments.steps, minutes, arguments.device, arguments.threads, arguments.quiet)
    run = Run(data=Plucks(seed=seed), model=MODEL, train=replace(TRAIN, seed=seed))
    outcome = trainer.start(run, folder, plan, overwrite=arguments.overwrite)
    if outcome.interrupted:
        return finished(outcome)

    model = WaveNet.from_pretrained(folder, machine.device_named(arguments.device))
    wave = _generated(model, folder / SOUND, arguments.seconds, seed, arguments.quiet)
    real = melody(len(wave) / audio.RATE, np.random.default_rng([seed, 2**20]))  # none that it was trained on
    heard = model.config.output.quantise(torch.from_numpy(real)).numpy()  # with the hiss of its 8 bits
    figures.comparison(heard, wave, folder / PICTURE)
    measured = outcome.yardsticks
    print(
        f"made {folder / SOUND}: {len(wave) / audio.RATE:.1f} s of plucked notes at {audio.RATE} Hz, by a model that "
        f"learnt a synthetic string in {outcome.step} steps, {clock(outcome.seconds)}\n"
        f"reached {outcome.bits:.3f} bits per sample (order-0 entropy {measured.order_0:.3f}, linear predictor "
        f"{measured.linear_32:.3f})\n"
        f"pictures: {folder / PICTURE}, {folder / CURVE}\n"
        f"next: wavenet generate {folder} --seconds 5 -n 4 -o {folder}/more/\n"
        f"or your own sound: wavenet train RECORDINGS/ --minutes 20"
    )
    return 0


def _generated(model: WaveNet, path: Path, seconds: float, seed: int, quiet: bool) -> np.ndarray:
    """Write the sound as it grows and return what is in the file."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one sample's products are too small to share
    samples = round(seconds * audio.RATE)
    blocks = stream(model, samples, seeds=[seed], drawing=DRAWING)
    try:
        with WavWriter(path, overwrite=True) as file:
            written = write_blocks(blocks, [file], samples, quiet)
    finally:
        torch.set_num_threads(threads)
    if written.interrupted:
        print(f"stopped early; {path} is whole and can be played", file=sys.stderr)
        raise KeyboardInterrupt
    return audio.read(path)
