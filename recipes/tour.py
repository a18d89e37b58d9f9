"""The tour: what dilation does, in seven parts, computed here and now; no download.

Every mark in every figure is computed, by ``shared.rf`` or by training on this machine. Each part is a module of
``recipes/lesson/`` that also opens as a notebook. Writes one page that holds everything.

    uv run python -m recipes.tour -o tour.html
"""

import argparse
import sys
import time
from datetime import date
from pathlib import Path

import torch

from recipes.benchmarks.machine import Machine
from recipes.lesson.cells import perform
from shared import cli
from shared.errors import InputError
from shared.report import Page
from shared.training.progress import ProgressLine, clock

PARTS = {
    1: ("resolution", 5),
    2: ("sampling", 5),
    3: ("pyramid", 8),
    4: ("growth", 8),
    5: ("segmenting", 30),
    6: ("sound", 6),
    7: ("experiments", 390),
}
"""The name of each, and about how many seconds it takes on two cores, which only moves the progress."""
LEAD = (
    "What pooling loses and what dilation does about it, what that costs, where the usual explanations are wrong, and "
    "what it is good for in pictures and in sound."
)


def main(arguments: list[str] | None = None) -> int:
    """Run the parts, write the page."""
    parser = cli.Parser(prog="tour", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", default="tour.html", metavar="FILE", help="the page (default: tour.html)")
    parser.add_argument("--parts", type=int, nargs="+", choices=list(PARTS), default=list(PARTS), metavar="N",
                        help="only these, 1 to 7")  # fmt: skip
    parser.add_argument("--threads", type=cli.positive, metavar="N",
                        help="of one product, and as many processes in part 7 (default: torch's choice)")  # fmt: skip
    parser.add_argument("-q", "--quiet", action="store_true", help="results and errors only")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    given = parser.parse_args(arguments)
    return cli.run(parser.prog, lambda: _run(given), given.debug)


def _run(given: argparse.Namespace) -> int:
    out, began = Path(given.out), time.monotonic()
    if out.is_dir():
        raise InputError(f"{out}: is a folder; name the page, such as {out / 'tour.html'}")
    if not out.parent.is_dir():
        raise InputError(f"{out}: there is no folder {out.parent}; make it first")
    machine = Machine.here([given.threads or torch.get_num_threads()])
    if given.threads:
        torch.set_num_threads(given.threads)
    page = Page("A tour of dilated convolution", LEAD, contents=True)
    parts = sorted(set(given.parts))
    whole, before = sum(PARTS[part][1] for part in parts), 0
    with ProgressLine("tour", given.quiet) as line:
        for part in parts:
            name, seconds = PARTS[part]

            def report(
                share: float, before: int = before, seconds: int = seconds, note: str = f"{part}, {name}"
            ) -> None:
                line.update((before + share * seconds) / whole, f"part {note}")

            perform(path_of(part), page, report)
            page.write(out)  # what is made is kept, whatever becomes of the rest
            before += seconds
    page.section("How this page was made")
    page.prose(machine.markdown())
    page.code(f"uv run python -m recipes.tour{'' if len(parts) == len(PARTS) else f' --parts {_listed(parts)}'}")
    page.text(f"{date.today().isoformat()}, in {clock(time.monotonic() - began)}.")
    page.write(out)
    print(f"{out}: {len(parts)} parts, {out.stat().st_size / 1e6:.1f} MB, {clock(time.monotonic() - began)}")
    return 0


def path_of(part: int) -> Path:
    """The module of a part."""
    return Path(__file__).parent / "lesson" / f"part{part}_{PARTS[part][0]}.py"


def _listed(parts: list[int]) -> str:
    return " ".join(map(str, parts))


if __name__ == "__main__":
    sys.exit(main())
