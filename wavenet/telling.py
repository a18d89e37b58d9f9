"""What ``wavenet train`` is asked to tell the network, from flags to settings."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from shared.errors import InputError, refusal
from wavenet.conditioning import Frames
from wavenet.data.conditions import mapped
from wavenet.distributions import BY_NAME
from wavenet.distributions.mixture import Mixture
from wavenet.mel import Mel
from wavenet.run import Run

VOCODER_OUTPUT = "gaussian-mixture"  # which a linear predictor can move, unlike codes
VOCODER_RATE = 4e-3  # half of the usual peak: at 0.008 long runs of vocoders fall back on the way
ORDER = 256  # of that predictor: 16 ms, in which voices down to 63 Hz repeat
LOOKED_AT = 50  # files of features, for their mean and deviation


def with_conditions(arguments: Namespace, run: Run) -> Run:
    """The run with ``--speakers``, ``--mel`` and ``--features``."""
    if arguments.speakers:
        run = replace(run, speakers=speakers_of(arguments.speakers))
    if arguments.mel and arguments.features:
        raise InputError("--mel and --features: sound is made of one of them; leave the other out")
    if arguments.mel:
        output = BY_NAME.get(arguments.output or VOCODER_OUTPUT, run.model.output)
        mel = Mel(predictor=ORDER if isinstance(output, Mixture) else 0)
        model, train = replace(run.model, frames=mel, output=output), replace(run.train, learning_rate=VOCODER_RATE)
        return replace(run, model=model, train=train)
    if arguments.features:
        folder = Path(arguments.features).resolve()
        return replace(run, features=str(folder), model=replace(run.model, frames=frames_in(folder)))
    return run


def speakers_of(how: str) -> str:
    """The setting for ``--speakers``; a table's path becomes absolute."""
    return how if how in ("name", "folder") or how.startswith("name:") else str(Path(how).resolve())


def frames_in(folder: Path) -> Frames:
    """What the features in a folder are, by its first files; the hop is the default one, unless set."""
    sums, channels = np.zeros(3), 0
    for path in islice(sorted(folder.glob("*.npy")), LOOKED_AT):
        values = mapped(path)
        if values.ndim != 2 or values.dtype.kind != "f":
            raise refusal(path, "holds no table of floats", "channels × frames are needed")
        channels = channels or values.shape[0]
        sums += (values.size, values.sum(dtype=np.float64), np.square(values, dtype=np.float64).sum())
    if not channels or not np.isfinite(sums).all():
        raise refusal(folder, "holds no .npy files that can be used", "--features takes a folder of NAME.npy")
    mean = sums[1] / sums[0]
    return Frames(channels=channels, mean=float(mean), deviation=float(max(1e-6, sums[2] / sums[0] - mean**2) ** 0.5))
