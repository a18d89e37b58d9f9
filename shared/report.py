"""A page that tells of a run: one HTML file with everything in it, which loads nothing from anywhere.

``Page`` collects sections in order and shows every text given to it as text. ``document`` is the frame of all our
pages, served ones too: a content security policy inside it admits the page's own style and script by their hashes and
nothing else, so that a slip in escaping would still run nothing and ask nobody.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from shared.files import write_file

NONE = "–"  # what is shown where there is no value
JOINERS = "\n\u200c\u200d"  # not printable by Python's account, but parts of text in many scripts

STYLE = """
:root { color-scheme: light dark;
  --ground: #ffffff; --panel: #f5f7f9; --line: #d9dfe5; --ink: #1c2229; --soft: #56616d; --accent: #0067a5;
  --wrong: #b3261e; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #13171c; --panel: #1c2229; --line: #343c45; --ink: #e7ebef; --soft: #a2adb9; --accent: #74bdf0;
  --wrong: #ff9a8f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; -webkit-text-size-adjust: 100%; }
main { max-width: 58rem; margin: 0 auto; padding: clamp(1.5rem, 6vw, 4rem) clamp(1rem, 4vw, 2rem) 5rem; }
h1 { margin: 0; font-size: clamp(1.6rem, 6vw, 2.25rem); line-height: 1.2; letter-spacing: -0.015em;
  overflow-wrap: anywhere; }
h2 { margin: 3.25rem 0 1rem; font-size: 1.25rem; line-height: 1.3; }
p { margin: 0 0 1rem; max-width: 44rem; overflow-wrap: anywhere; }
.lead { margin: 0.6rem 0 0; color: var(--soft); font-size: 1.1rem; }
.marks { display: flex; flex-wrap: wrap; gap: 1.25rem 3rem; margin: 2.25rem 0 0; padding: 1.1rem 0;
  border: solid var(--line); border-width: 1px 0; }
.marks div { display: flex; flex-direction: column-reverse; }
.marks dt { color: var(--soft); font-size: 0.875rem; }
.marks dd { margin: 0; font-size: 1.6rem; line-height: 1.25; font-weight: 600; font-variant-numeric: tabular-nums; }
.facts { display: grid; grid-template-columns: fit-content(42%) 1fr; gap: 0 clamp(1rem, 4vw, 2.5rem); margin: 0; }
.facts div { display: grid; grid-template-columns: subgrid; grid-column: 1 / -1; padding: 0.4rem 0;
  border-bottom: 1px solid var(--line); }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
figure + .wide, .gallery + .wide, .facts + .wide { margin-top: 1.75rem; }
table { border-collapse: collapse; min-width: 60%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); font-size: 0.875rem; padding-bottom: 0.4rem; }
th, td { padding: 0.4rem 1rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { padding-left: 0; text-align: left; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--soft); font-weight: 500; font-size: 0.875rem; }
tbody th { font-weight: 400; }
@media (max-width: 34rem) { .marks { gap: 1rem 2rem; } table { min-width: 100%; font-size: 0.875rem; }
  th, td { padding: 0.4rem 0.3rem; } thead th { font-size: 0.8rem; } .swatch { margin-right: 0.4rem; } }
.total :is(th, td) { font-weight: 600; border-bottom: 0; }
.swatch { display: inline-block; width: 0.8rem; height: 0.8rem; margin-right: 0.6rem; border-radius: 3px;
  border: 1px solid var(--soft); flex: none; }
figure { margin: 0; min-width: 0; }
figure img { display: block; max-width: 100%; height: auto; border-radius: 6px; background: #ffffff; }
figure audio { display: block; width: 100%; max-width: 32rem; }
figcaption { margin-top: 0.5rem; color: var(--soft); font-size: 0.9rem; overflow-wrap: anywhere; }
.gallery { display: grid; gap: 1.75rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
figure + figure { margin-top: 1.75rem; }
.gallery figure { margin: 0; }
pre { margin: 0 0 1rem; padding: 0.9rem 1.1rem; border-radius: 6px; background: var(--panel);
  font: 0.9rem/1.6 ui-monospace, "SF Mono", Menlo, Consolas, monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 3px; }
"""


class Picture(NamedTuple):
    """A PNG file's content, what is said below it, and what it shows, for those who cannot see it."""

    png: bytes
    caption: str
    alt: str


class Page:
    """A report in the making: what is added is shown in this order.

    >>> page = Page("A run", "Trained for <5 minutes")
    >>> page.section("What was trained")
    >>> page.facts({"parameters": 1234567})
    >>> "Trained for &lt;5 minutes" in page.html(), "1,234,567" in page.html()
    (True, True)
    """

    def __init__(self, title: str, lead: str = ""):
        """``lead`` is a sentence below the title."""
        self.title = title
        self._parts = [f"<h1>{shown(title)}</h1>"]
        if lead:
            self._parts.append(f'<p class="lead">{shown(lead)}</p>')

    def section(self, heading: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{shown(heading)}</h2>")

    def text(self, *paragraphs: str) -> None:
        """Add paragraphs."""
        self._parts += [f"<p>{shown(each)}</p>" for each in paragraphs]

    def code(self, text: str) -> None:
        """Add something to be typed or copied; its lines are kept."""
        self._parts.append(f"<pre><code>{shown(text)}</code></pre>")

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
        figures = "".join(f"<figure>{_image(each.png, each.alt)}{_caption(each.caption)}</figure>" for each in pictures)
        self._parts.append(figures if len(pictures) < 2 else f'<div class="gallery">{figures}</div>')

    def sound(self, wav: bytes, caption: str, picture: Picture | None = None) -> None:
        """Add a player for a WAV file, below a picture of the sound if there is one."""
        if wav[:4] != b"RIFF" or wav[8:12] != b"WAVE":
            raise ValueError("a sound is the content of a WAV file")
        above = _image(picture.png, picture.alt) if picture else ""
        player = f'<audio controls preload="metadata" aria-label="{shown(caption)}" src="{_data("audio/wav", wav)}">'
        self._parts.append(f"<figure>{above}{player}</audio>{_caption(caption)}</figure>")

    def html(self) -> str:
        """The whole page."""
        return document(self.title, "\n".join(self._parts))

    def write(self, path: Path | str) -> None:
        """Write the page in one step; raise InputError if that fails."""
        write_file(Path(path), self.html())


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
    return escape("".join(sign if sign.isprintable() or sign in JOINERS else "\ufffd" for sign in str(value)))


def _pairs(kind: str, values: Mapping[str, object]) -> str:
    rows = "".join(f"<div><dt>{shown(name)}</dt><dd>{shown(value)}</dd></div>" for name, value in values.items())
    return f'<dl class="{kind}">{rows}</dl>'


def _image(png: bytes, alt: str) -> str:
    if png[:8] != b"\x89PNG\r\n\x1a\n" or len(png) < 24:
        raise ValueError("a picture is the content of a PNG file")
    if not alt:
        raise ValueError("a picture needs a text that says what it shows")
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))  # room is kept before it is decoded
    return f'<img src="{_data("image/png", png)}" width="{width}" height="{height}" alt="{shown(alt)}">'


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
