"""A page is one file that asks nobody for anything, and shows what it is given as it is given."""

import base64
import io
import re
import wave
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from shared.errors import InputError
from shared.report import Page, Picture, Sound, document, shown
from tests.browser import Browser

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&\0\x1b[31m\u202e\ud800"
LOADING = {"src", "href", "srcset", "action", "data", "poster", "formaction", "background", "xlink:href"}


def png(width=6, height=4, kind="PNG"):
    out = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(out, kind)
    return out.getvalue()


def wav():
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(3200))
    return out.getvalue()


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.words = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words += data

    def tags(self):
        return [tag for tag, _ in self.found]


def full(text="plain"):
    page = Page(text, text)
    page.section(text)
    page.text(text, text)
    page.code(text)
    page.folded(text, text)
    page.prose(f"## heading\n\nText, and `{text}`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    page.marks({text: text})
    page.facts({text: text, "parameters": 1_234_567, "rates": (6, 12), "nothing": None, "auxiliary": False})
    page.table([text, "IoU"], [[text, 0.12345], ["mean", None]], caption=text, colours=[(1, 2, 255)], total=True)
    page.pictures(Picture(png(), text, text))
    page.pictures(Picture(png(), text, text), Picture(png(), "", text))
    page.sounds([(text, [Sound(wav(), text, Picture(png(), "", text)), Sound(wav(), text)]), ("", [])])
    with page.fold(text):
        page.text(text)
    return page


def test_whatever_is_given_is_shown_as_text_and_makes_no_element():
    plain, hostile = Elements(full().html()), Elements(full(HOSTILE).html())
    assert hostile.tags() == plain.tags()
    assert [sorted(attributes) for _, attributes in hostile.found] == [sorted(each) for _, each in plain.found]
    assert "<script>alert(1)</script>" in hostile.words
    assert not re.search("[\0\x1b\u202e\ud800]", full(HOSTILE).html())


def test_nothing_is_loaded_from_anywhere():
    text = full().html()
    for tag, attributes in Elements(text).found:
        assert tag not in {"script", "iframe", "object", "embed", "base", "form"}
        for name in LOADING & attributes.keys():
            assert attributes[name].startswith("data:"), (tag, name)
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
    assert not re.search(r"https?://|@import|url\(|//[a-z]", re.sub(r"base64,[A-Za-z0-9+/=]+", "", text))
    assert "default-src 'none'" in text


def test_a_control_that_must_fail_an_address_would_be_found():
    page = full()
    page._parts.append('<img src="http://elsewhere.example/a.png">')
    assert re.search(r"https?://", page.html())


def test_pictures_and_sounds_are_inside_with_size_text_and_name():
    found = Elements(full("a dog").html()).found
    pictures = [attributes for tag, attributes in found if tag == "img"]
    assert len(pictures) == 4
    for each in pictures:
        assert base64.b64decode(each["src"].removeprefix("data:image/png;base64,")) == png()
        assert (each["width"], each["height"], each["alt"]) == ("6", "4", "a dog")
    players = [attributes for tag, attributes in found if tag == "audio"]
    assert len(players) == 2
    for each in players:
        assert base64.b64decode(each["src"].removeprefix("data:audio/wav;base64,")) == wav()
        assert each["aria-label"] == "a dog: a dog"


def test_headings_are_in_order_and_rows_and_columns_are_named():
    elements = Elements(full().html())
    assert [tag for tag in elements.tags() if re.fullmatch(r"h\d", tag)] == ["h1", "h2", "h3", "h3"]
    scopes = [attributes.get("scope") for tag, attributes in elements.found if tag == "th"]
    assert [scope for scope in scopes if scope] == ["col", "col", "row", "row"]
    assert ("html", {"lang": "en"}) in elements.found


def test_a_gif_is_a_picture_too_and_its_size_is_read():
    page = Page("x")
    page.pictures(Picture(png(300, 5, "GIF"), "", "a dog that runs"))
    (picture,) = [attributes for tag, attributes in Elements(page.html()).found if tag == "img"]
    assert base64.b64decode(picture["src"].removeprefix("data:image/gif;base64,")) == png(300, 5, "GIF")
    assert (picture["width"], picture["height"]) == ("300", "5")


def test_prose_is_markdown_whose_first_heading_is_a_section():
    page = Page("x")
    page.prose("# One\n\nSome *stress*, `code`, [a link](https://arxiv.org/abs/1511.07122).\n\n## Two\n\n* an item")
    page.prose("| name | value |\n|---|---|\n| a | 1 |")
    elements = Elements(page.html())
    tags = [tag for tag in elements.tags() if tag not in {"html", "head", "meta", "title", "link", "style", "body"}]
    assert tags == [
        *("main", "h1", "h2", "p", "em", "code", "a", "h3", "ul", "li"),
        *("div", "table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"),
    ]
    assert ("a", {"href": "https://arxiv.org/abs/1511.07122"}) in elements.found


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "![x](https://elsewhere.example/x.png)", "[x](javascript:alert(1))"]
)
def test_markup_pictures_and_scripts_in_prose_are_no_elements(text):
    page = Page("x")
    page.prose(text)
    found = Elements(page.html()).found
    assert not {"script", "img"} & {tag for tag, _ in found}
    assert not any("javascript" in str(attributes.get("href")) for _, attributes in found)


def test_folded_code_is_there_but_closed():
    page = Page("x")
    page.folded("the code", "a < b")
    elements = Elements(page.html())
    assert ("details", {}) in elements.found
    assert "a < b" in elements.words


def test_the_contents_lead_to_every_section_in_order():
    page = Page("x", "the lead", contents=True)
    page.section("First & last")
    page.prose("# Second\n\n## No section\n\ntext")
    html = page.html()
    links = [attributes["href"] for tag, attributes in Elements(html).found if tag == "a"]
    places = ["#" + attributes["id"] for tag, attributes in Elements(html).found if tag == "h2"]
    assert links == places == ["#s1", "#s2"]
    assert html.index("the lead") < html.index("<nav") < html.index('<h2 id="s1">First &amp; last')


def contrast(one, other):
    def light(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    brighter, darker = sorted((light(one), light(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_all_colours_of_text_are_readable_by_day_and_by_night():
    from shared.report_style import STYLE

    day, night = STYLE.split("@media (prefers-color-scheme: dark)")
    for part in (day, night.split("* {")[0]):
        colours = dict(re.findall(r"--(\w+): (#\w{6})", part))
        for text in ("ink", "soft", "accent", "wrong"):
            for ground in ("ground", "panel"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_or_sound_or_has_no_text_is_refused(content):
    with pytest.raises(ValueError, match="PNG"):
        Page("x").pictures(Picture(content, "", "a dog"))
    with pytest.raises(ValueError, match="WAV"):
        Page("x").sounds([("", [Sound(content, "a dog")])])
    with pytest.raises(ValueError, match="1 to 3"):
        Page("x").sounds([("", [Sound(wav(), "a dog")] * 4)])
    with pytest.raises(ValueError, match="what it shows"):
        Page("x").pictures(Picture(png(), "caption", ""))
    with pytest.raises(ValueError, match="2 cells"):
        Page("x").table(["a", "b"], [["only one"]])


def test_values_are_shown_as_people_write_them():
    assert [shown(each) for each in (None, True, 0, 1e-9, 1234.5678, "", ())] == [
        *("–", "yes", "0", "1e-09", "1235", "", "–"),
    ]


def test_it_is_written_in_one_step_and_what_was_there_survives_a_failure(tmp_path):
    path = tmp_path / "report.html"
    full().write(path)
    assert path.read_text(encoding="utf-8") == full().html()
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(InputError, match="cannot be written"):
        full().write(tmp_path / "nowhere" / "report.html")


def test_in_a_browser_it_fits_a_phone_and_neither_breaks_its_policy_nor_asks_for_anything(tmp_path):
    full("a long name without any place to break_" * 9).write(tmp_path / "page.html")
    evil = document("evil", "<script>document.title = 'ran'</script><img src='http://127.0.0.1:9/x' alt=''>")
    (tmp_path / "evil.html").write_text(evil, encoding="utf-8")
    with Browser() as browser:
        for dark, ground in ((False, "rgb(255, 255, 255)"), (True, "rgb(19, 23, 28)")):
            browser.look(390, 800, dark)
            browser.open((tmp_path / "page.html").as_uri())
            assert browser.value("document.documentElement.scrollWidth") == 390
            assert browser.value("getComputedStyle(document.body).backgroundColor") == ground
        assert browser.value("[...document.images].every(each => each.complete && each.naturalWidth === 6)")
        wide = Page("wide")
        wide.pictures(Picture(png(1200, 300), "a caption", "a wide one"))
        wide.write(tmp_path / "wide.html")
        browser.open((tmp_path / "wide.html").as_uri())  # it is scrolled by itself, and large enough to be read
        assert browser.value("document.documentElement.scrollWidth") == 390
        assert browser.value("document.images[0].width") == 42 * 16
        assert browser.complaints() == []
        assert {url.partition(":")[0] for url in browser.requests()} == {"file", "data"}

        browser.open((tmp_path / "evil.html").as_uri())  # even a hole in the escaping would run nothing
        assert browser.value("document.title") == "evil"
        assert "Content Security Policy" in str(browser.complaints())
