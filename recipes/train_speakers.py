"""Six voices in one network: the `small` WaveNet, told who speaks.

Labels come from the file names (``--set speakers=folder``, or a table, where they do not). Silent ends, which differ
between speakers' microphones more than voices do, are left out, and all recordings brought to one level: the label is
then learnt by the voice. It ends with the bits per sample of each speaker, and one sound of each; whether a classifier
knows them is measured by ``recipes.benchmarks.speaker_naming``.

    uv run python -m recipes.train_speakers --data DIGITS/ -o runs/speakers --minutes 30
"""

import sys

from recipes.commandline import Recipe, perform
from wavenet.data import Recordings
from wavenet.model import PRESETS
from wavenet.run import Run, TrainConfig

RECIPE = Recipe(
    name="train_speakers",
    story=__doc__,
    data="a folder of recordings by several speakers",
    minutes=30,
    run=Run(
        data=Recordings(path="", trim=40.0, level=-23.0),
        model=PRESETS["small"],
        train=TrainConfig(batch=4, targets=2048, learning_rate=8e-3),
        speakers="name",
    ),
    then=(
        "evaluate {run} {data}",
        "generate {run} --speaker {speakers} -n {count} --seconds 1 -o {run}/sounds/ --force",
    ),
)

if __name__ == "__main__":
    sys.exit(perform(RECIPE))
