"""Spectrograms of some sounds, one below the other on one scale of time, frequency and loudness.

uv run python -m recipes.spectrograms recording.wav copy.wav griffin-lim.wav --seconds 4 -o spectrograms.png
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from shared import cli
from shared.figures import drawn, rendered
from shared.files import write_file
from wavenet import audio
from wavenet.figures import power, spectrogram


def main(argv: Sequence[str] | None = None) -> int:
    """Read, draw, write."""
    parser = cli.Parser(prog="spectrograms", description=__doc__)
    parser.add_argument("sounds", metavar="FILE", nargs="+", help="recordings")
    parser.add_argument("--titles", metavar="TEXT", nargs="+", default=[], help="of each; default: the files' names")
    parser.add_argument("--seconds", type=cli.positive_float, default=5.0, help="from the start (default: 5)")
    parser.add_argument("-o", "--out", metavar="PNG", required=True, type=Path, help="picture to write")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    given = parser.parse_args(argv)
    if given.titles and len(given.titles) != len(given.sounds):
        parser.error(f"{len(given.titles)} titles for {len(given.sounds)} sounds")
    titles = given.titles or [Path(sound).name for sound in given.sounds]

    def draw() -> None:
        waves = [audio.read(sound, 0, round(given.seconds * audio.RATE)) for sound in given.sounds]
        loudest = max(float(power(wave).max()) for wave in waves)
        with drawn(None, 7, 0.4 + 1.5 * len(waves)) as figure:
            grid = figure.subplots(len(waves), 1, sharex=True, squeeze=False)
            for axes, wave, title in zip(grid[:, 0], waves, titles, strict=True):
                spectrogram(axes, wave, loudest)
                axes.set_title(title, loc="left")
                axes.set_ylabel("kHz")
            grid[-1, 0].set_xlim(0, max(map(len, waves)) / audio.RATE)
            grid[-1, 0].set_xlabel("seconds")
            write_file(given.out, rendered(figure, colours=128))
        print(given.out)

    return cli.run(parser.prog, draw, given.debug)


if __name__ == "__main__":
    sys.exit(main())
