"""What mel spectrograms alone say of speech: bits per sample of one Gaussian around the linear predictor, untrained.

uv run python -m recipes.benchmarks.linear_prediction --data RECORDINGS/
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import torch
from torch import Tensor

from recipes.benchmarks.machine import table
from shared import cli
from shared.training.progress import ProgressLine
from wavenet import audio
from wavenet.conditioning import Condition
from wavenet.data.recordings import recordings
from wavenet.data.tracks import Track
from wavenet.distributions import Gaussian
from wavenet.linear_prediction import prior
from wavenet.mel import Mel

ORDERS = (32, 64, 128, 256, 512)


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row an order."""
    parser = cli.Parser(prog="benchmarks.linear_prediction", description=__doc__)
    parser.add_argument("--data", required=True, metavar="DIR", help="a folder of recordings")
    parser.add_argument("--clips", type=cli.positive, default=12, metavar="N", help="how many of them (default: 12)")
    parser.add_argument("--seconds", type=cli.positive_float, default=2.5, help="of each (default: 2.5)")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    given = parser.parse_args(argv)

    def measure() -> None:
        tracks = recordings(given.data).load(0.0).train
        chosen = tracks[:: max(1, len(tracks) // given.clips)][: given.clips]
        rows = []
        with ProgressLine(parser.prog, given.quiet) as line:
            for at, order in enumerate(ORDERS):
                line.update(at / len(ORDERS), f"order {order}")
                found = torch.tensor([scored(track, order, given.seconds) for track in chosen])
                (bits, size), (worst, largest) = found.mean(0).tolist(), found.amax(0).tolist()
                rows.append(
                    {
                        "order": str(order),
                        "bits per 16-bit sample": f"{bits:.3f}",
                        "of the worst clip": f"{worst:.3f}",
                        "errors, in units of what was expected": f"{size:.2f}",
                        "at most": f"{largest:.2f}",
                    }
                )
        print(table(rows))

    return cli.run(parser.prog, measure, given.debug)


def scored(track: Track, order: int, seconds: float) -> tuple[float, float]:
    """Bits per sample of a track's beginning, and the RMS of errors in units of what was expected."""
    mel, output = Mel(predictor=order), Gaussian()
    samples = min(track.samples, round(seconds * audio.RATE))
    wave = torch.from_numpy(track.read(0, samples))[None]
    said = prior(mel, Condition(frames=mel.of(wave)), wave, order)
    nothing_learnt: Tensor = torch.zeros(*said.shape[:2], output.channels)
    nats = output.nll(output.around(nothing_learnt, said), wave[:, order:])
    off = (wave[:, order:] - said[..., 0]) * torch.exp(-said[..., 1])
    return nats.mean().item() / math.log(2), off.square().mean().sqrt().item()


if __name__ == "__main__":
    sys.exit(main())
