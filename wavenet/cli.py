"""The ``wavenet`` command: what can be said to it. Torch is imported inside the commands, so help is instant."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import wavenet.limits  # noqa: F401 (the rows that --limit knows)
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
  wavenet train six-speakers/ --speakers name -o runs/six --minutes 60
  wavenet generate runs/six --speaker george -n 4 -o out/
  wavenet train recordings/ --mel -o runs/vocoder --minutes 60    sound from mel spectrograms
  wavenet vocode runs/vocoder recording.flac -o copy.wav
  wavenet vocode --resume copy.wav                      after Ctrl-C or a crash
  wavenet evaluate runs/mine recordings/ --json
  wavenet report runs/mine                              one page: curve, sounds, spectrograms
  wavenet serve runs/mine                               draw sound on a local page
  wavenet bench runs/mine                               samples a second on this machine
  wavenet export runs/mine -o voice                     a folder for others, with a model card
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
    _treatment(prepare)
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
    _treatment(train)
    train_flags(train, "tiny, short, small (default), base or large", "train.batch=4 or model.kernel_size=3")

    generate = command(commands, "generate", "generate WAV files from a trained model")
    generate.add_argument("model", metavar="RUN", nargs="?", help="a run folder or a saved model")
    generate.add_argument("-o", "--out", metavar="PATH", help="a .wav file, a folder/, or - for stdout")
    generate.add_argument("--seconds", type=positive_float, help="length of the new sound (default: 3)")
    generate.add_argument("-n", "--number", type=positive, default=1, metavar="N", help="how many clips")
    _drawing(generate)
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
        help="go on with clips that were stopped, or to a greater length with --seconds; needs nothing else, "
        "but where the model has moved: RUN --resume WAV…",
    )  # fmt: skip
    generate.add_argument("--force", action="store_true", help="write over existing files")
    seed_flag(generate, "of the first clip; the next ones take the next numbers")

    vocode = command(commands, "vocode", "make sound from mel spectrograms, of recordings or stored as .npy")
    needed = [
        vocode.add_argument("model", metavar="RUN", help="a run trained with --mel"),
        vocode.add_argument("inputs", metavar="FILE", nargs="+", help="recordings, .npy files, or folders of them"),
        vocode.add_argument("-o", "--out", metavar="PATH", required=True, help="a .wav file, or a folder/ for several"),
    ]
    vocode.add_argument("--speaker", metavar="NAME", nargs="+", help="whose voice, for a model that knows several")
    vocode.add_argument(
        "--as-drawn", action="store_true", help="do not fit the sound to its mel spectrogram when it is done"
    )
    _drawing(vocode)
    vocode.add_argument("--engine", default="auto", choices=["auto", "compiled", "cached", "reference"], help="how")
    vocode.add_argument(
        "--precision", default="float32", choices=["float32", "bfloat16", "int8"], help="of the weights"
    )
    vocode.add_argument(
        "--resume", metavar="WAV", nargs="+", action=Instead, of=needed,
        help="go on with sounds that were stopped, within their files, or not begun, which have but a note, WAV.json; "
        "needs nothing else, but where the model has moved: RUN --resume WAV…",
    )  # fmt: skip
    vocode.add_argument("--force", action="store_true", help="write over existing files")
    seed_flag(vocode, "of the first file; the next ones take the next numbers")

    evaluate = command(commands, "evaluate", "bits per sample on recordings; how close a vocoder's copies come")
    evaluate.add_argument("model", metavar="RUN", help="a run folder or a saved model")
    evaluate.add_argument("data", metavar="DATA", help="a folder of recordings, a file, or torchaudio:NAME")
    evaluate.add_argument("--root", metavar="DIR", help="where the torchaudio data set lies")
    evaluate.add_argument(
        "--part", choices=["auto", "all", "train", "validation"], default="auto",
        help="auto: what the run held back if DATA is what it was trained on, else all",
    )  # fmt: skip
    evaluate.add_argument("--speakers", metavar="HOW", help="as for train; default: as the run had it")
    evaluate.add_argument(
        "--features", metavar="DIR", help="of a vocoder of features: DATA's, as for train; default: the run's"
    )
    evaluate.add_argument(
        "--copies", type=_count, metavar="N",
        help="of a vocoder: copy the first 7.5 s of so many files and measure them (default: 8; 0: none)",
    )  # fmt: skip
    evaluate.add_argument("-o", "--out", metavar="DIR", help="keep the recordings and the copies there, as WAV files")
    evaluate.add_argument("--force", action="store_true", help="write over existing files")
    _drawing(evaluate)
    evaluate.add_argument(
        "--precision", default="float32", choices=["float32", "bfloat16", "int8"], help="of the weights, for the copies"
    )
    seed_flag(evaluate, "of the first copy; the next ones take the next numbers")
    evaluate.add_argument("--json", action="store_true", help="the result as JSON")

    bench = command(commands, "bench", "how fast each engine draws from a model here, and whether they agree")
    bench.add_argument("model", metavar="RUN", help="a run folder or a saved model")
    bench.add_argument("--streams", type=positive, nargs="+", default=[1, 8, 32], metavar="N", help="clips at once")
    bench.add_argument("--json", action="store_true", help="the rows as JSON")

    export = command(commands, "export", "write a model for others: weights, settings and a card that explains it")
    export.add_argument("model", metavar="RUN", help="a run folder or a saved model")
    export.add_argument("-o", "--out", metavar="DIR", required=True, help="a folder that is not there yet")
    export.add_argument("--license", metavar="NAME", help="of the model, for its card: mit, cc-by-4.0 …")
    export.add_argument("--force", action="store_true", help="renew a folder that was exported before")

    info = command(commands, "info", "what a run or saved model is, and how far it got")
    info.add_argument("model", metavar="RUN", help="a run folder or a saved model")
    info.add_argument("--json", action="store_true", help="the answer as JSON")

    report = command(commands, "report", "write a page about a run: one HTML file, with all sounds and pictures inside")
    report.add_argument("model", metavar="RUN", help="a run folder, also of a run that is not done, or a saved model")
    report.add_argument("-o", "--out", metavar="HTML", help="the file to write (default: report.html in RUN)")
    report.add_argument(
        "--clips", type=_count, metavar="N",
        help="sounds to draw for it (default: 4, or one a speaker up to 6; 0: none, only what the folder holds)",
    )  # fmt: skip
    report.add_argument("--seconds", type=positive_float, help="length of each (default: as the recordings, up to 3)")
    report.add_argument("--force", action="store_true", help="write over an existing file")

    serve = command(commands, "serve", "open a page on this computer: have a model draw sound, and listen to it")
    serve.add_argument("model", metavar="RUN", help="a run folder or a saved model")
    serve.add_argument("--port", type=int, default=0, metavar="N", help="port of 127.0.0.1 (default: 0, any free one)")
    serve.add_argument("--open", action="store_true", help="show the page in the browser")
    serve.add_argument("--precision", default="float32", choices=["float32", "bfloat16", "int8"], help="of the weights")
    return top


class Instead(argparse.Action):
    """A flag that stands for what else is required."""

    def __init__(self, *args: Any, of: Sequence[argparse.Action], **settings: Any):
        super().__init__(*args, **settings)
        self.of = of

    def __call__(self, _: Any, namespace: argparse.Namespace, values: Any, __: Any = None) -> None:
        """Take the values, and require nothing more."""
        setattr(namespace, self.dest, values)
        for action in self.of:
            action.required = False


def _drawing(command: Parser) -> None:
    """Flags for how to draw; ``wavenet.choices.drawing_of`` reads them."""
    command.add_argument("--temperature", type=float, metavar="T", help="below 1 is safer, above 1 bolder (default: 1)")
    command.add_argument("--top-k", type=positive, metavar="K", help="draw from the K likeliest values alone")
    command.add_argument(
        "--top-p", type=float, metavar="P", help="draw from the fewest likeliest values that hold the share P alone"
    )
    command.add_argument("--greedy", action="store_true", help="the likeliest value, always: --temperature 0")


def _treatment(command: Parser) -> None:
    """Flags for what is done to recordings before anything else."""
    command.add_argument(
        "--trim", type=_decibels, nargs="?", const=40.0, metavar="DB",
        help="leave out silence at both ends, DB (default: 40) below a recording's loudest 20 ms; 50 ms of it stay",
    )  # fmt: skip
    command.add_argument(
        "--level", type=_decibels, nargs="?", const=-23.0, metavar="DBFS",
        help="bring every recording to one level, by default -23, peaks to -1 at most; a vocoder then expects it",
    )  # fmt: skip


def _decibels(text: str) -> float:
    """A number. Flags that may stand without one take the next word for it, which is said where it is none."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number; put DATA before it") from None


def _count(text: str) -> int:
    """A whole number from 0 up."""
    return 0 if text == "0" else positive(text)


_count.__name__ = positive.__name__


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, then hand over to ``wavenet.commands``."""
    arguments = parser().parse_args(argv)

    def call() -> int | None:
        return importlib.import_module(f"wavenet.commands.{arguments.command}").run(arguments)

    return cli.run(f"wavenet {arguments.command}", call, arguments.debug)
