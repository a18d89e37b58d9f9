"""A part of the lesson is a module in percent format: ``# %%`` begins a cell of code, ``# %% [markdown]`` one of text.

Editors open it as a notebook, ``python -m recipes.lesson.part2_sampling`` runs it as a script, and ``recipes.tour``
makes a page of it: text as text, code folded, what it printed, and the figures that it showed.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from shared.report import Page, Picture

DPI, GIF_DPI = 120, 90
MARK = re.compile(r"^# %%(?P<kind> \[markdown\])?(?P<title>.*)$")

_stage: ContextVar[Stage | None] = ContextVar("stage", default=None)
_numbers = count(1)  # of the files a script writes


@dataclass(frozen=True)
class Cell:
    """One cell: ``text`` is Markdown or code, ``line`` its first line in the file, counted from 1."""

    text: str
    line: int
    is_prose: bool


def cells_of(source: str) -> list[Cell]:
    """The cells of a module in percent format; what stands before the first mark is none of them.

    >>> [(cell.text, cell.is_prose) for cell in cells_of("# %% [markdown]\\n# # One\\n# text\\n\\n# %%\\nx = 1\\n")]
    [('# One\\ntext', True), ('x = 1', False)]
    """
    found: list[tuple[bool, int, list[str]]] = []
    for number, line in enumerate(source.splitlines(), 1):
        mark = MARK.match(line)
        if mark:
            found.append((bool(mark["kind"]), number + 1, []))
        elif found:
            found[-1][2].append(line)
    return [
        Cell("\n".join(map(_uncommented, lines) if prose else lines).strip("\n"), line, prose)
        for prose, line, lines in found
    ]


def perform(path: Path, page: Page, progress: Callable[[float], None] | None = None) -> None:
    """Run a part from top to bottom and put it on the page; ``progress`` is told the share of cells done.

    An error surfaces as it is, and its traceback names the lines of the part's own file.
    """
    source = path.read_text(encoding="utf-8")
    scope: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    cells = cells_of(source)
    for done, cell in enumerate(cells):
        if progress:
            progress(done / len(cells))
        if cell.is_prose:
            page.prose(cell.text)
            continue

        def advance(share: float, done: int = done) -> None:
            if progress:
                progress((done + share) / len(cells))

        page.folded("the code", cell.text)
        stage = Stage(page, advance)
        with stage.entered():
            exec(compile("\n" * (cell.line - 1) + cell.text, path, "exec", dont_inherit=True), scope)


class Stage:
    """Where a cell's output goes on its way to the page: what it printed and what it showed, in their order."""

    def __init__(self, page: Page, advance: Callable[[float], None]):
        self.page = page
        self.advance = advance
        self._said = io.StringIO()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Within the block this is the place for whatever is printed, shown, told or tabulated."""
        token = _stage.set(self)
        try:
            with redirect_stdout(self._said):
                yield
        finally:
            _stage.reset(token)
        self.cleared()

    def cleared(self) -> Page:
        """The page, once everything printed so far is on it."""
        if said := self._said.getvalue().strip("\n"):
            self.page.code(said)
            self._said.seek(0)
            self._said.truncate()
        return self.page


def show(figure: Figure | FuncAnimation, caption: str = "", *, alt: str, fps: int = 4) -> None:
    """Show a figure or an animation: on the page, in the notebook, or, in a script, as a file in ``tour-figures/``.

    ``alt`` says what it shows, for those who cannot see it.
    """
    still = isinstance(figure, Figure)
    content = png(figure) if still else gif(figure, fps)
    stage = _stage.get()
    if stage:
        stage.cleared().pictures(Picture(content, caption, alt))
    elif "ipykernel" in sys.modules:
        from IPython.display import Image, display

        display(Image(content, format="png" if still else "gif", alt=alt))
    else:
        folder = Path("tour-figures")
        folder.mkdir(exist_ok=True)
        part = Path(sys.argv[0]).stem
        path = folder / f"{part}-{next(_numbers):02}.{'png' if still else 'gif'}"
        path.write_bytes(content)
        print(f"{path}: {caption or alt}")


def tell(markdown: str) -> None:
    """Say something whose figures have just been computed: as text on the page, as print elsewhere."""
    stage = _stage.get()
    if stage:
        stage.cleared().prose(markdown)
    else:
        print(markdown)


def tabulate(heads: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> None:
    """Show a table whose first column names its rows: on the page, or as aligned text elsewhere.

    >>> tabulate(["layers", "field"], [["five", 11], ["ten", 21]])
    layers  field
    five       11
    ten        21
    """
    stage = _stage.get()
    if stage:
        stage.cleared().table(heads, rows, caption=caption)
        return
    lines = [[str(cell) for cell in line] for line in (heads, *rows)]
    first, *others = (max(map(len, column)) for column in zip(*lines, strict=True))
    for name, *cells in lines:
        print("  ".join([name.ljust(first), *map(str.rjust, cells, others)]))


def advance(share: float) -> None:
    """Say what share of a long cell is done; only the tour listens."""
    stage = _stage.get()
    if stage:
        stage.advance(share)


def png(figure: Figure) -> bytes:
    """A figure as the content of a PNG file."""
    out = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(out, dpi=DPI, format="png")
    return out.getvalue()


def gif(animation: FuncAnimation, fps: int) -> bytes:
    """An animation as the content of a GIF file that repeats for ever."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "animation.gif"
        animation.save(path, writer=PillowWriter(fps=fps), dpi=GIF_DPI)
        return path.read_bytes()


def _uncommented(line: str) -> str:
    return line.removeprefix("# ") if line.startswith("# ") else line.removeprefix("#")
