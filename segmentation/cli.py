"""The ``segmentation`` command: what can be said to it. Torch is imported inside the commands, so help is instant."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from importlib.metadata import version

import segmentation.limits  # noqa: F401 (the rows that --limit knows)
from shared import cli
from shared.cli import Parser, command, positive, positive_float, seed_flag, train_flags

EXAMPLES = """
examples:
  segmentation demo                                     from nothing to masks you can look at
  segmentation check pictures/                          can this folder be trained on? what is in it?
  segmentation train pictures/ -o runs/mine --minutes 30
  segmentation train pictures/ --from runs/other --minutes 60   start from another model's weights
  segmentation train --resume runs/mine --minutes 30    half an hour more
  segmentation evaluate runs/mine held-out/ --json
  segmentation predict runs/mine street.jpg more/ -o out/ --overlay
  segmentation import deeplabv3_resnet50.pth -o runs/voc    published torchvision weights
  segmentation export runs/mine -o mine.onnx
  segmentation bench runs/mine                          pictures a second on this machine
  segmentation report runs/mine                         the run as one page: curves, scores, pictures
  segmentation serve runs/mine --open                   a page to drop pictures on
"""


def parser() -> Parser:
    """The whole grammar."""
    top = Parser(
        prog="segmentation",
        description="Train a DeepLab-style network on pictures and masks, and write masks for new pictures.",
        epilog=EXAMPLES,
    )
    top.add_argument("--version", action="version", version=f"atrous {version('atrous')}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)

    demo = command(commands, "demo", "train on shapes drawn on the fly, and write masks of new ones; needs no data")
    demo.add_argument("-o", "--out", metavar="DIR", help="folder to write to (default: segmentation-demo, numbered)")
    demo.add_argument("--minutes", type=positive_float, default=3.3, help="training time (default: 3.3)")
    demo.add_argument("--steps", type=positive, help="training steps, instead of minutes")
    demo.add_argument("--overwrite", action="store_true", help="start again in a folder that holds a run")
    seed_flag(demo, "of the shapes, the first weights and the order of the crops")

    check = command(commands, "check", "look through a folder of pictures and masks before training on it")
    _data(check, "check")
    check.add_argument("--sheet", metavar="PNG", help="write a sheet of samples with their masks there")
    check.add_argument("--force", action="store_true", help="write over an existing sheet")
    check.add_argument("--json", action="store_true", help="the findings as JSON")

    train = command(commands, "train", "train a model, or go on training one")
    _data(train, "train on", optional=True)
    train.add_argument("--val", metavar="DATA", help="another such folder or list, to validate on")
    train.add_argument("--split", choices=["file", "prefix"],
                       help="without --val, hold back single files, or all of one prefix, such as a video")  # fmt: skip
    train.add_argument("--from", dest="initial", metavar="MODEL", help="start from the weights of this model")
    train.add_argument("--crop", type=positive, nargs=2, metavar=("H", "W"), help="size of training crops, in pixels")
    train.add_argument("--class-weights", choices=["none", "median", "log"], help="make rare classes count for more")
    train_flags(
        train, "fast (default), dilated, deeplabv3_r50, deeplabv3plus_r18 …", "train.batch=4 or network.output_stride=8"
    )

    evaluate = command(commands, "evaluate", "scores on pictures whose masks are known, class by class")
    evaluate.add_argument("model", metavar="RUN", help="a run folder or a saved model")
    _data(evaluate, "evaluate on")
    evaluate.add_argument("-o", "--out", metavar="DIR", help="write metrics.json, the confusion matrix and a sheet of "
                          "the worst pictures there")  # fmt: skip
    evaluate.add_argument("--force", action="store_true", help="write over existing files")
    evaluate.add_argument("--json", action="store_true", help="the scores as JSON")
    _views(evaluate)

    predict = command(commands, "predict", "write masks for pictures")
    predict.add_argument("model", metavar="RUN", help="a run folder or a saved model")
    predict.add_argument("pictures", metavar="PICTURE", nargs="+", help="files, folders, patterns, or - for stdin")
    predict.add_argument("-o", "--out", metavar="PATH", default="masks", help="a folder, or a name for a single mask")
    predict.add_argument("--overlay", action="store_true", help="write the picture with its mask laid over it as well")
    predict.add_argument("--side-by-side", action="store_true", help="write picture and mask beside each other as well")
    predict.add_argument(
        "--probabilities", action="store_true", help="write all probabilities as .npy [k, h, w] as well"
    )
    predict.add_argument("--tile", type=int, metavar="N", help="side of tiles in pixels; 0: none (default: by size)")
    predict.add_argument("--overlap", type=int, metavar="N", help="pixels that blended tiles share")
    predict.add_argument("--force", action="store_true", help="write over existing files")
    _views(predict)

    imported = command(commands, "import", "make a model of published torchvision DeepLabV3 weights")
    imported.add_argument("weights", metavar="FILE", help="a .pth or .safetensors file of deeplabv3_resnet50 or 101")
    imported.add_argument("-o", "--out", metavar="MODEL", required=True, help="the model's folder, new or empty")
    imported.add_argument("--classes", metavar="CSV", help="names and colours (default: Pascal VOC's, if there are 21)")

    export = command(commands, "export", "write a model as ONNX, and check that it answers alike")
    export.add_argument("model", metavar="RUN", help="a run folder or a saved model")
    export.add_argument("-o", "--out", metavar="ONNX", required=True, help="the file to write")
    export.add_argument("--force", action="store_true", help="write over an existing file")

    bench = command(commands, "bench", "how many pictures a second a model predicts here, plain and fast")
    bench.add_argument("model", metavar="RUN", help="a run folder or a saved model")
    bench.add_argument("--size", type=positive, nargs=2, metavar=("H", "W"), default=[360, 480], help="of the picture")
    bench.add_argument("--json", action="store_true", help="the rows as JSON")

    info = command(commands, "info", "what a run or saved model is, and how far it got")
    info.add_argument("model", metavar="RUN", help="a run folder or a saved model")
    info.add_argument("--json", action="store_true", help="the answer as JSON")

    report = command(commands, "report", "write a page about a run: one HTML file, with all pictures inside")
    report.add_argument("model", metavar="RUN", help="a run folder, also of a run that is not done, or a saved model")
    report.add_argument(
        "-o", "--out", metavar="HTML", help="the file to write (default: report.html in the run folder)"
    )
    report.add_argument("--force", action="store_true", help="write over an existing file")

    serve = command(commands, "serve", "open a page on this computer: drop a picture on it and see its mask")
    serve.add_argument("model", metavar="RUN", help="a run folder or a saved model")
    serve.add_argument("--port", type=int, default=0, metavar="N", help="port of 127.0.0.1 (default: 0, any free one)")
    serve.add_argument("--open", action="store_true", help="show the page in the browser")
    serve.add_argument("--fast", action="store_true", help="bfloat16: faster, and a few pixels in a hundred differ")
    return top


def _data(parser: Parser, to: str, optional: bool = False) -> None:
    parser.add_argument(
        "data", metavar="DATA", nargs="?" if optional else None,
        help=f"what to {to}: a folder with images/ and masks/, a Pascal VOC folder, or a text file of pairs",
    )  # fmt: skip
    parser.add_argument("--classes", metavar="CSV", help="table of the classes: value, name, colour")
    parser.add_argument("--encoding", choices=["auto", "ids", "colours", "binary"],
                        help="how masks name classes (default: found out)")  # fmt: skip


def _views(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fast", action="store_true", help="bfloat16: faster, and a few pixels in a hundred differ")
    parser.add_argument("--flip", action="store_true", help="average with the mirrored picture")
    parser.add_argument(
        "--scales", type=positive_float, nargs="+", default=[1.0], metavar="S", help="average over sizes"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, then hand over to ``segmentation.commands``."""
    arguments = parser().parse_args(argv)

    def call() -> int | None:
        name = {"import": "import_weights"}.get(arguments.command, arguments.command)  # `import` is a keyword
        return importlib.import_module(f"segmentation.commands.{name}").run(arguments)

    return cli.run(f"segmentation {arguments.command}", call, arguments.debug)
