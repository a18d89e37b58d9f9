"""Does the demo sound like plucked notes? Measured, not claimed.

Over several seeds, generated sound is compared with fresh real melodies by two numbers:

- in tune: the share of voiced frames whose pitch lies within 50 cents of a note of the scale,
- periodicity: the median peak of the normalised autocorrelation of the frames that sound at all.

Expected after ``wavenet demo`` (2 minutes of training on 2 cores): both ratios above the thresholds below.

    uv run wavenet demo -o demo && uv run python recipes/check_demo.py demo
"""

import argparse
import sys

import numpy as np

from wavenet.commands.demo import DRAWING
from wavenet.data.plucks import SCALE, melody
from wavenet.distributions import Drawing
from wavenet.model import WaveNet
from wavenet.pitch import cents_off, track_pitch
from wavenet.sampler import generate

SOUNDING = 0.01  # root mean square: frames below it are gaps
VOICED = 0.7  # periodicity
IN_TUNE = 50  # cents
AT_LEAST = {"in_tune": 0.85, "periodicity": 0.80}  # of the real melodies' figure


def measure(waves: np.ndarray) -> dict[str, float]:
    """Both numbers over clips ``[b, t]``."""
    pitches = [track_pitch(wave) for wave in waves]
    frequency, periodicity, level = (np.concatenate(values) for values in zip(*pitches, strict=True))
    sounding = level > SOUNDING
    voiced = sounding & (periodicity > VOICED)
    return {
        "in_tune": float((cents_off(frequency[voiced], SCALE) < IN_TUNE).mean()) if voiced.any() else 0.0,
        "periodicity": float(np.median(periodicity[sounding])) if sounding.any() else 0.0,
        "voiced": float(voiced.mean()),
    }


def main() -> int:
    """Print a table and fail when a ratio is below its threshold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="the folder that `wavenet demo` wrote")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--temperature", type=float, default=DRAWING.temperature)
    arguments = parser.parse_args()

    model = WaveNet.from_pretrained(arguments.run)
    samples = round(arguments.seconds * model.sample_rate)
    seeds = range(100, 100 + arguments.seeds)  # not the one of demo.wav
    drawing = Drawing(temperature=arguments.temperature)
    generated = measure(generate(model, samples, seeds=seeds, drawing=drawing).numpy())
    real = measure(np.stack([melody(arguments.seconds, np.random.default_rng([7, seed])) for seed in seeds]))
    print(f"{'':12} {'real':>8} {'generated':>10} {'ratio':>7} {'at least':>9}")
    passed = True
    for name, threshold in AT_LEAST.items():
        ratio = generated[name] / real[name]
        passed &= ratio >= threshold
        print(f"{name:12} {real[name]:8.3f} {generated[name]:10.3f} {ratio:7.3f} {threshold:9.2f}")
    print(f"{'voiced':12} {real['voiced']:8.3f} {generated['voiced']:10.3f}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
