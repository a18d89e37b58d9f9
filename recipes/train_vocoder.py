"""Sound from mel spectrograms: the `small` WaveNet as a vocoder for one voice.

It is told 80 mel bands every 12.5 ms. A linear predictor of order 256 comes from them before anything is learnt; the
network models what is left, as a mixture of ten Gaussians in units of the expected error. It ends with what a paper
would report of copies of held-back recordings, beside what no vocoder of mu-law codes passes and what needs no network
(Griffin-Lim), and keeps recordings and copies as WAV files.

    uv run python -m recipes.train_vocoder --data RECORDINGS/ -o runs/vocoder --minutes 60
"""

import sys
from dataclasses import replace

from recipes.commandline import Recipe, perform
from wavenet.data import Recordings
from wavenet.distributions import Gaussian
from wavenet.mel import Mel
from wavenet.model import PRESETS
from wavenet.run import Run, TrainConfig

RECIPE = Recipe(
    name="train_vocoder",
    story=__doc__,
    data="a folder of one speaker's recordings",
    minutes=60,
    run=Run(
        data=Recordings(path=""),
        model=replace(PRESETS["small"], frames=Mel(predictor=256), output=Gaussian(mixtures=10)),
        train=TrainConfig(batch=4, targets=2048, learning_rate=4e-3, previews=1),
    ),
    then=("evaluate {run} {data} -o {run}/sounds --force",),
)

if __name__ == "__main__":
    sys.exit(perform(RECIPE))
