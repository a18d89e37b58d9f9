"""The ``receptive-field`` command: a network in a line of text, its field in a line of text. Needs no torch."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from shared import cli
from shared.cli import Parser, positive, positive_float
from shared.errors import InputError
from shared.rf.field import percent
from shared.rf.gridding import design
from shared.rf.spec import LONGEST, Spec, parse

EXAMPLES = """
networks:
  kernel [@rate,rate…] [/stride] [*times] [causal], in sequence by >, side by side by |, brackets, global

examples:
  receptive-field 3@1,2,4,8                             a stack of kernel 3 at these dilations
  receptive-field 3@1,2,4,8 3@2,4,8 -o picture.png      two of them, and what each reads
  receptive-field "2@1,2,4,8*3 causal" --rate 16000     three times over, seeing only the past; in milliseconds
  receptive-field "7/2 > 3/2 > 3*4"                     strides
  receptive-field "3 > (1 | 3@6 | global) > 3"          branches, one of which sees everything
  receptive-field --design 3840 --kernel 2              the fewest layers that see 3840 inputs without a gap
"""


def parser() -> Parser:
    """The whole grammar of the command; that of the networks is in ``shared.rf.spec``."""
    top = Parser(
        prog="receptive-field",
        description="What one output of a network of convolutions reads of its input: exactly, and without running it.",
        epilog=EXAMPLES,
    )
    top.add_argument("--version", action="version", version=f"atrous {version('atrous')}")
    top.add_argument("networks", metavar="NETWORK", nargs="*", help='such as 3@1,2,4,8 or "2@1,2,4*3 causal"')
    top.add_argument("--design", type=positive, metavar="N", help="find the cheapest gap-free stack that sees N inputs")
    top.add_argument("--kernel", type=positive, metavar="K", help="kernel of the design (default: 3)")
    top.add_argument("--causal", action="store_true", help="the design sees only the past")
    top.add_argument("--rate", type=positive_float, metavar="HZ", help="inputs a second: say it in milliseconds, too")
    top.add_argument("--json", action="store_true", help="the answers as JSON")
    top.add_argument("-o", "--out", metavar="PNG", help="a picture of what is read")
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, answer, and perhaps draw."""
    top = parser()
    arguments = top.parse_args(argv)
    if not arguments.networks and not arguments.design:
        top.error("give a network, such as 3@1,2,4,8, or --design N")
    if not arguments.design and (arguments.causal or arguments.kernel is not None):
        top.error("--kernel and --causal are of --design; of a network say it like '2@1,2,4 causal'")
    if arguments.design and arguments.design > LONGEST:
        top.error(f"--design {arguments.design}: at most {LONGEST:,} inputs")
    return cli.run(top.prog, lambda: _answer(arguments), arguments.debug)


def _answer(arguments: Namespace) -> None:
    specs = [_parsed(text) for text in arguments.networks]
    if arguments.design:
        specs.append(_designed(arguments.design, arguments.kernel or 3, arguments.causal))
    if arguments.json:
        print(json.dumps([_facts(spec, arguments.rate) for spec in specs], indent=2))
    else:
        for spec in specs:
            print("\n  ".join(_lines(spec, arguments.rate)))
    if arguments.out:
        from shared.rf.figure import draw

        draw(specs, Path(arguments.out))


def _parsed(text: str) -> Spec:
    try:
        return parse(text)
    except ValueError as error:
        named = text if len(text) <= 60 else f"{text[:60]}…"
        raise InputError(f"{named!r}: {error}; write it like 3@1,2,4,8 (--help has more)") from None


def _designed(target: int, kernel_size: int, causal: bool) -> Spec:
    try:
        rates = ",".join(map(str, design(target, kernel_size)))
    except ValueError as error:
        raise InputError(f"--kernel {kernel_size}: {error}; try --kernel 3") from None
    return _parsed(f"{kernel_size}@{rates}" + " causal" * causal if rates else "1")


def _facts(spec: Spec, rate: float | None) -> dict[str, Any]:
    field, spread = spec.field, spec.spread
    facts: dict[str, Any] = {"network": spec.text, **field.to_dict(), "verdict": spec.verdict}
    facts["coverage_2d"] = None if field.parts is None else field.coverage_in(2)
    facts["sigma"] = spread.sigma if spread.paths else None
    if rate:
        lengths = {"size": field.size, "history": field.history, "lookahead": field.lookahead, "jump": field.jump}
        facts["milliseconds"] = {name: 1000 * length / rate for name, length in lengths.items()}
    return facts


def _lines(spec: Spec, rate: float | None) -> list[str]:
    field, spread = spec.field, spec.spread
    lines = [f"{spec.text}: {field}"]
    if not field.size:
        return lines
    lines.append(spec.verdict)
    square = "" if field.parts is None else f", {percent(field.coverage_in(2))} of its square"
    lines.append(f"reads {percent(field.coverage)} of the span{square}; σ of the paths {spread.sigma:.2f}")
    if rate:
        ms = [f"{1000 * each / rate:.4g} ms" for each in (field.size, field.history, field.lookahead, field.jump)]
        lines.append(f"at {rate:,g} Hz {ms[0]}: history {ms[1]}, lookahead {ms[2]}; an output every {ms[3]}")
    return lines
