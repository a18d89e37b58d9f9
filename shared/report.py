"""A page that tells of a run: one HTML file with everything in it, which loads nothing from anywhere.

``Page`` collects sections in order and shows every text given to it as text. ``document`` is the frame of all our
pages, served ones too: a content security policy inside it admits the page's own style and script by their hashes and
nothing else, so that a slip in escaping would still run nothing and ask nobody.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import NamedTuple

from shared.errors import InputError
from shared.files import write_file
from shared.report_style import STYLE

NONE = "–"  # what is shown where there is no value
MOST_COLUMNS = 3  # of sounds side by side
BROAD = 800  # pixels; a wider picture does not fit a phone
JOINERS = "\n\u200c\u200d"  # not printable by Python's account, but parts of text in many scripts


class Picture(NamedTuple):
    """A PNG or GIF file's content, what is said below it, and what it shows, for those who cannot see it."""

    content: bytes
    caption: str
    alt: str


class Sound(NamedTuple):
    """A WAV file's content, what it is, and its picture if there is one."""

    wav: bytes
    caption: str
    picture: Picture | None = None


class Page:
    """A report in the making: what is added is shown in this order.

    >>> page = Page("A run", "Trained for <5 minutes")
    >>> page.section("What was trained")
    >>> page.facts({"parameters": 1234567})
    >>> "Trained for &lt;5 minutes" in page.html(), "1,234,567" in page.html()
    (True, True)
    """

    def __init__(self, title: str, lead: str = "", contents: bool = False):
        """``lead`` is a sentence below the title; with ``contents`` a list of the sections follows it."""
        self.title = title
        self._contents: list[str] | None = [] if contents else None
        self._parts = [f"<h1>{shown(title)}</h1>"]
        if lead:
            self._parts.append(f'<p class="lead">{shown(lead)}</p>')
        self._head = len(self._parts)

    def section(self, heading: str) -> None:
        """Begin a section."""
        mark = "" if self._contents is None else f' id="{self._listed(heading)}"'
        self._parts.append(f"<h2{mark}>{shown(heading)}</h2>")

    def text(self, *paragraphs: str) -> None:
        """Add paragraphs."""
        self._parts += [f"<p>{shown(each)}</p>" for each in paragraphs]

    def code(self, text: str) -> None:
        """Add something to be typed or copied; its lines are kept."""
        self._parts.append(f"<pre><code>{shown(text)}</code></pre>")

    def folded(self, summary: str, code: str) -> None:
        """Add code that is shown when its ``summary`` is opened."""
        with self.fold(summary):
            self.code(code)

    def prose(self, markdown: str) -> None:
        """Add text in Markdown, with tables: a heading of one ``#`` begins a section. Markup in it is shown as text.

        Raises InputError without the package markdown-it-py.
        """
        try:
            from markdown_it import MarkdownIt
        except ImportError:
            raise InputError("a page of prose needs markdown-it-py; pip install 'atrous[tour]'") from None

        reader = MarkdownIt("commonmark", {"html": False, "typographer": False}).enable("table").disable("image")
        tokens = reader.parse(_printable(markdown))
        for token, following in zip(tokens, [*tokens[1:], None], strict=True):
            if token.type in ("heading_open", "heading_close"):
                token.tag = f"h{min(6, int(token.tag[1:]) + 1)}"  # the title is the page's only h1
            if token.type == "heading_open" and token.tag == "h2" and self._contents is not None:
                token.attrSet("id", self._listed(following.content))
        html = reader.renderer.render(tokens, reader.options, {})
        table = '<div class="wide" role="region" aria-label="table" tabindex="0"><table>'
        self._parts.append(html.replace("<table>", table).replace("</table>", "</table></div>"))

    def marks(self, values: Mapping[str, object]) -> None:
        """Add the few values that matter most, in large type, each with its name."""
        self._parts.append(_pairs("marks", values))

    def facts(self, values: Mapping[str, object]) -> None:
        """Add names and values, a line each."""
        self._parts.append(_pairs("facts", values))

    def table(
        self,
        heads: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        caption: str = "",
        colours: Sequence[tuple[int, ...]] = (),
        total: bool = False,
    ) -> None:
        """Add a table: the first column names its rows, the others are numbers.

        ``colours`` (red, green, blue) are shown before the names of as many rows; ``total`` sets off the last row.
        """
        rows = [list(row) for row in rows]
        if any(len(row) != len(heads) for row in rows):
            raise ValueError(f"every row needs {len(heads)} cells")
        lines = []
        for at, (name, *cells) in enumerate(rows):
            swatch = _swatch(colours[at]) if at < len(colours) else ""
            kind = ' class="total"' if total and at == len(rows) - 1 else ""
            cells = "".join(f"<td>{shown(cell)}</td>" for cell in cells)
            lines.append(f'<tr{kind}><th scope="row">{swatch}{shown(name)}</th>{cells}</tr>')
        top = "".join(f'<th scope="col">{shown(head)}</th>' for head in heads)
        said = f"<caption>{shown(caption)}</caption>" if caption else ""
        label = shown(caption or f"table of {heads[0]}")
        # a table that is wider than a phone is scrolled by itself, with the keyboard too
        self._parts.append(
            f'<div class="wide" role="region" aria-label="{label}" tabindex="0"><table>{said}'
            f"<thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
        )

    def pictures(self, *pictures: Picture) -> None:
        """Add a picture, or several side by side as far as there is room."""
        figures = "".join(_figure(each, alone=len(pictures) == 1) for each in pictures)
        self._parts.append(figures if len(pictures) < 2 else f'<div class="gallery">{figures}</div>')

    def sounds(self, rows: Sequence[tuple[str, Sequence[Sound]]]) -> None:
        """Add rows of players, each below its picture: what stands in one row, under its name, is to be compared."""
        columns = max((len(row) for _, row in rows), default=0)
        if not 1 <= columns <= MOST_COLUMNS:
            raise ValueError(f"a row of sounds has 1 to {MOST_COLUMNS} of them, not {columns}")
        lines = []
        for name, row in rows:
            head = f"<h3>{shown(name)}</h3>" if name else ""
            lines.append(f"<section>{head}{''.join(_player(each, name) for each in row)}</section>")
        self._parts.append(f'<div class="sounds of{columns}">{"".join(lines)}</div>')

    @contextmanager
    def fold(self, summary: str) -> Iterator[None]:
        """What is added within ``with`` is shown when its ``summary`` is opened."""
        self._parts.append(f"<details><summary>{shown(summary)}</summary>")
        yield
        self._parts.append("</details>")

    def html(self) -> str:
        """The whole page."""
        parts = list(self._parts)
        if self._contents:
            entries = "".join(f'<li><a href="#s{at}">{name}</a></li>' for at, name in enumerate(self._contents, 1))
            parts.insert(self._head, f'<nav aria-label="contents"><ol>{entries}</ol></nav>')
        return document(self.title, "\n".join(parts))

    def write(self, path: Path | str) -> None:
        """Write the page in one step; raise InputError if that fails."""
        write_file(Path(path), self.html())

    def _listed(self, heading: str) -> str:
        """Put a section on the list; returns the name by which the list leads to it."""
        self._contents.append(shown(heading))
        return f"s{len(self._contents)}"


def document(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """An HTML document around ``body``, which is markup; ``style`` and ``script`` come in addition to the common ones.

    A page with a script may talk to the server that it came from, and to no other.
    """
    style = STYLE + style
    talks = f"script-src '{_hash(script)}'; connect-src 'self'; " if script else ""
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; {talks}"
        "img-src data: blob:; media-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{shown(title)}</title>\n<link rel="icon" href="data:,">\n<style>{style}</style>\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n{f'<script>{script}</script>' if script else ''}\n</body>\n</html>\n"
    )


def shown(value: object) -> str:
    """A value as markup that shows it, fit for attributes too; signs that would act on their surroundings are replaced.

    >>> shown(None), shown(12345), shown(0.25), shown((6, 12)), shown("<b>")
    ('–', '12,345', '0.25', '6, 12', '&lt;b&gt;')
    """
    match value:
        case None:
            return NONE
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case tuple() | list():
            return ", ".join(map(shown, value)) or NONE
    return escape(_printable(str(value)))


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() or sign in JOINERS else "\ufffd" for sign in text)


def _pairs(kind: str, values: Mapping[str, object]) -> str:
    rows = "".join(f"<div><dt>{shown(name)}</dt><dd>{shown(value)}</dd></div>" for name, value in values.items())
    return f'<dl class="{kind}">{rows}</dl>'


def _figure(picture: Picture, alone: bool) -> str:
    image = _image(picture.content, picture.alt)
    if alone and _size(picture.content)[0] > BROAD:  # on a phone it is scrolled, or nobody could read it
        image = f'<div class="broad" role="region" aria-label="picture" tabindex="0">{image}</div>'
    return f"<figure>{image}{_caption(picture.caption)}</figure>"


def _player(sound: Sound, row: str) -> str:
    if sound.wav[:4] != b"RIFF" or sound.wav[8:12] != b"WAVE":
        raise ValueError("a sound is the content of a WAV file")
    image = _image(sound.picture.content, sound.picture.alt) if sound.picture else ""
    label = shown(f"{row}: {sound.caption}" if row else sound.caption)
    player = f'<audio controls preload="metadata" aria-label="{label}" src="{_data("audio/wav", sound.wav)}"></audio>'
    return f"<figure>{_caption(sound.caption)}{image}{player}</figure>"


def _image(content: bytes, alt: str) -> str:
    wide, high = _size(content)  # room is kept before it is decoded
    if not alt:
        raise ValueError("a picture needs a text that says what it shows")
    kind = "image/gif" if content[:3] == b"GIF" else "image/png"
    return f'<img src="{_data(kind, content)}" width="{wide}" height="{high}" alt="{shown(alt)}">'


def _size(content: bytes) -> tuple[int, int]:
    """Width and height of a PNG or GIF file."""
    if len(content) >= 24 and content[:8] == b"\x89PNG\r\n\x1a\n":
        return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    if len(content) >= 10 and content[:6] in (b"GIF87a", b"GIF89a"):
        return int.from_bytes(content[6:8], "little"), int.from_bytes(content[8:10], "little")
    raise ValueError("a picture is the content of a PNG or GIF file")


def _caption(text: str) -> str:
    return f"<figcaption>{shown(text)}</figcaption>" if text else ""


def _swatch(colour: tuple[int, ...]) -> str:
    red, green, blue = colour  # an attribute of SVG: the policy admits no style attributes
    fill = f"#{red:02x}{green:02x}{blue:02x}"
    return f'<svg class="swatch" viewBox="0 0 1 1" aria-hidden="true"><rect width="1" height="1" fill="{fill}"/></svg>'


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
