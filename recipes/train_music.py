"""Music from a few minutes of it: a WaveNet that hears further back.

Notes last longer than the sounds of speech, so each of the two stacks has 12 layers: the receptive field is 0.51 s,
and a sample costs a fifth more than with `small`. Music is quieter and louder on purpose, so no level is changed; what
is silent before the first note and after the last is left out. OGG and MP3 files are decoded from their start for each
excerpt, so a copy of them as WAV trains many times faster.

    uv run wavenet prepare MUSIC/ -o music16
    uv run python -m recipes.train_music --data music16 -o runs/music --minutes 60
"""

import sys
from dataclasses import replace

from recipes.commandline import Recipe, perform
from shared.schedules import exponential
from wavenet.data import Recordings
from wavenet.model import PRESETS
from wavenet.run import Run, TrainConfig

RECIPE = Recipe(
    name="train_music",
    story=__doc__,
    data="a folder of music, best of one kind",
    minutes=60,
    run=Run(
        data=Recordings(path="", trim=60.0),
        model=replace(PRESETS["small"], dilations=exponential(12, 2)),
        train=TrainConfig(batch=2, targets=8192, learning_rate=8e-3),
    ),
    then=("generate {run} --seconds 10 -n 2 -o {run}/sounds/ --force",),
)

if __name__ == "__main__":
    sys.exit(perform(RECIPE))
