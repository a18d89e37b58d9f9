"""A voice from ten minutes of it: the `small` WaveNet on one speaker.

The network (20 layers, receptive field 0.128 s) has no text and no labels; it learns to babble in the speaker's
voice. What it reaches in 20 minutes on 2 cores stands in ``recipes/README.md``, with the command.

    uv run python -m recipes.train_speech --data RECORDINGS/ -o runs/speech --minutes 20
"""

import sys

from recipes.commandline import Recipe, perform
from wavenet.data import Recordings
from wavenet.model import PRESETS
from wavenet.run import Run, TrainConfig

RECIPE = Recipe(
    name="train_speech",
    story=__doc__,
    data="a folder of one speaker's recordings",
    minutes=20,
    run=Run(
        data=Recordings(path=""),
        model=PRESETS["small"],
        train=TrainConfig(batch=4, targets=2048, learning_rate=8e-3),
    ),
    then=("generate {run} --seconds 3 -n 4 -o {run}/sounds/ --force",),
)

if __name__ == "__main__":
    sys.exit(perform(RECIPE))
