"""The ``wavenet`` command: what can be said to it. Torch is imported inside the commands, so help is instant."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.metadata import version

from shared import cli
from shared.cli import Parser, command, positive, positive_float, seed_flag, train_flags

EXAMPLES = """
examples:
  wavenet demo                                          from nothing to a sound you can play
  wavenet prepare recordings/                           what is in a folder, and can it be used?
  wavenet train recordings/ -o runs/mine --minutes 60
  wavenet train --resume runs/mine --minutes 60         an hour more
  wavenet generate runs/mine --seconds 5 -n 4 -o out/
  wavenet generate runs/mine --seconds 5 -o - | aplay
  wavenet generate --resume out/*.wav                   after Ctrl-C, a crash, or for more: --seconds 60
  wavenet train six-speakers/ --speakers name -o runs/six
  wavenet generate runs/six --speaker george -n 4 -o out/
  wavenet train recordings/ --mel -o runs/vocoder       sound from mel spectrograms
  wavenet vocode runs/vocoder recording.flac -o copy.wav
  wavenet evaluate runs/mine recordings/ --json
  wavenet bench runs/mine                               samples a second on this machine
"""


def parser() -> Parser:
    """The whole grammar."""
    top = Parser(
        prog="wavenet",
        description="Train a causal WaveNet on recordings and generate WAV files from it.",
        epilog=EXAMPLES,
    )
    top.add_argument("--version", action="version", version=f"atrous {version('atrous')}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)

    demo = command(commands, "demo", "train on a built-in plucked string and write demo.wav; needs no data")
    demo.add_argument("-o", "--out", metavar="DIR", help="folder to write to (default: demo, numbered)")
    demo.add_argument("--minutes", type=positive_float, default=2.0, help="training time (default: 2)")
    demo.add_argument("--steps", type=positive, help="training steps, instead of minutes")
    demo.add_argument("--seconds", type=positive_float, default=4.0, help="length of demo.wav (default: 4)")
    demo.add_argument("--overwrite", action="store_true", help="start again in a folder that holds a run")
    seed_flag(demo, "of the melodies, the first weights and the sound")

    prepare = command(commands, "prepare", "check a folder of recordings; with -o, write a 16 kHz copy")
    prepare.add_argument("data", metavar="DATA", help="a folder of WAV, FLAC, OGG, MP3, AIFF or AU files, or one file")
    prepare.add_argument("-o", "--out", metavar="DIR", help="write 16 kHz mono WAV files there, same tree")
    prepare.add_argument("--force", action="store_true", help="write over existing files")
    prepare.add_argument("--json", action="store_true", help="the findings as JSON")

    train = command(commands, "train", "train a model, or go on training one")
    train.add_argument("data", metavar="DATA", nargs="?", help="a folder of recordings, or torchaudio:NAME")
    train.add_argument("--root", metavar="DIR", help="where the torchaudio data set lies")
    train.add_argument(
        "--output", metavar="NAME",
        help="what is predicted: categorical (default), logistic-mixture, gaussian or gaussian-mixture",
    )  # fmt: skip
    train.add_argument(
        "--speakers", metavar="HOW",
        help="learn who speaks, from file names (name, or name:N for their N-th part), folder, or a table of files",
    )  # fmt: skip
    train.add_argument("--mel", action="store_true", help="a vocoder: learn to make sound from its mel spectrogram")
    train.add_argument(
        "--features",
        metavar="DIR",
        help="learn from features of your own: DIR/NAME.npy, channels × frames, a recording",
    )
    train_flags(train, "tiny, small (default), base or large", "train.batch=4 or model.kernel_size=3")

    generate = command(commands, "generate", "generate WAV files from a trained model")
    generate.add_argument("model", metavar="RUN", nargs="?", help="a run folder or a saved model")
    generate.add_argument("-o", "--out", metavar="PATH", help="a .wav file, a folder/, or - for stdout")
    generate.add_argument("--seconds", type=positive_float, help="length of the new sound (default: 3)")
    generate.add_argument("-n", "--number", type=positive, default=1, metavar="N", help="how many clips")
    generate.add_argument("--temperature", type=float, default=1.0, help="below 1 is safer, 0 takes the likeliest")
    generate.add_argument("--speaker", metavar="NAME", nargs="+", help="whose voice; of several, the clips take turns")
    generate.add_argument("--prompt", metavar="FILE", help="a recording to continue")
    generate.add_argument("--prompt-seconds", type=positive_float, metavar="S", help="how much of its start to use")
    generate.add_argument(
        "--engine", default="auto", choices=["auto", "compiled", "cached", "reference"], help="how to sample"
    )
    generate.add_argument(
        "--precision", default="float32", choices=["float32", "bfloat16", "int8"],
        help="of the weights: coarser is faster; README says what it costs (default: float32)",
    )  # fmt: skip
    generate.add_argument(
        "--resume", metavar="WAV", nargs="+",
        help="go on with clips that were stopped, or to a greater length with --seconds; needs nothing else",
    )  # fmt: skip
    generate.add_argument("--force", action="store_true", help="write over existing files")
    seed_flag(generate, "of the first clip; the next ones take the next numbers")

    vocode = command(commands, "vocode", "make sound from mel spectrograms, of recordings or stored as .npy")
    vocode.add_argument("model", metavar="RUN", help="a run trained with --mel")
    vocode.add_argument("inputs", metavar="FILE", nargs="+", help="recordings, .npy files, or folders of them")
    vocode.add_argument("-o", "--out", metavar="PATH", required=True, help="a .wav file, or a folder/ for several")
    vocode.add_argument("--speaker", metavar="NAME", nargs="+", help="whose voice, for a model that knows several")
    vocode.add_argument("--temperature", type=float, default=1.0, help="below 1 is safer, 0 takes the likeliest")
    vocode.add_argument("--engine", default="auto", choices=["auto", "compiled", "cached", "reference"], help="how")
    vocode.add_argument(
        "--precision", default="float32", choices=["float32", "bfloat16", "int8"], help="of the weights"
    )
    vocode.add_argument("--force", action="store_true", help="write over existing files")
    seed_flag(vocode, "of the first file; the next ones take the next numbers")

    evaluate = command(commands, "evaluate", "bits per sample on recordings, beside two yardsticks")
    evaluate.add_argument("model", metavar="RUN", help="a run folder or a saved model")
    evaluate.add_argument("data", metavar="DATA", help="a folder of recordings, a file, or torchaudio:NAME")
    evaluate.add_argument("--root", metavar="DIR", help="where the torchaudio data set lies")
    evaluate.add_argument(
        "--part", choices=["auto", "all", "train", "validation"], default="auto",
        help="auto: what the run held back if DATA is what it was trained on, else all",
    )  # fmt: skip
    evaluate.add_argument("--speakers", metavar="HOW", help="as for train; default: as the run had it")
    evaluate.add_argument("--json", action="store_true", help="the result as JSON")

    bench = command(commands, "bench", "how fast each engine draws from a model here, and whether they agree")
    bench.add_argument("model", metavar="RUN", help="a run folder or a saved model")
    bench.add_argument("--streams", type=positive, nargs="+", default=[1, 8, 32], metavar="N", help="clips at once")
    bench.add_argument("--json", action="store_true", help="the rows as JSON")

    info = command(commands, "info", "what a run or saved model is, and how far it got")
    info.add_argument("model", metavar="RUN", help="a run folder or a saved model")
    info.add_argument("--json", action="store_true", help="the answer as JSON")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, then hand over to ``wavenet.commands``."""
    arguments = parser().parse_args(argv)

    def call() -> int | None:
        return importlib.import_module(f"wavenet.commands.{arguments.command}").run(arguments)

    return cli.run(f"wavenet {arguments.command}", call, arguments.debug)
