"""The tour: its parts are modules in percent format, and what they say and show is on the page."""

import doctest
import re
import traceback
from html import unescape

import pytest
from matplotlib.figure import Figure

from recipes import tour
from recipes.lesson import cells, photo
from recipes.lesson.cells import advance, cells_of, perform, show, tabulate, tell
from shared.report import Page

PART = '''"""What stands before the first mark is no cell."""

# %% [markdown]
# # A part
#
# Text with *stress* and <b>markup</b>.

# %%
from matplotlib.figure import Figure

from recipes.lesson.cells import advance, show, tabulate, tell

def squared(number):
    return number**2

print("before the figure")
show(Figure(figsize=(1, 1)), "the caption", alt="an empty figure")
print("after it")

# %% a title
tabulate(["name", "value"], [["three", squared(3)]])
tell("## Told\\n\\nText with **weight**.")
advance(0.5)
'''


@pytest.fixture
def part(tmp_path):
    path = tmp_path / "part9_small.py"
    path.write_text(PART, encoding="utf-8")
    return path


def test_a_module_is_cells_of_text_and_code_each_with_its_first_line():
    text, first, second = cells_of(PART)
    assert text.is_prose
    assert text.text.splitlines() == ["# A part", "", "Text with *stress* and <b>markup</b>."]
    assert (first.is_prose, second.is_prose) == (False, False)
    for cell in (first, second):
        assert PART.splitlines()[cell.line - 1] == cell.text.splitlines()[0]
    assert cells_of("print('no mark, no cell')") == []


def test_what_a_part_says_and_shows_is_on_the_page_in_its_order(part):
    page, heard = Page("tour"), []
    perform(part, page, heard.append)
    html = page.html()
    order = (
        *("<h2>A part</h2>", "<em>stress</em>", "&lt;b&gt;", "<details>", "</details>", "before the figure", "<img"),
        *("the caption", "after it", "</details>", "<td>9</td>", "<h3>Told</h3>", "<strong>weight</strong>"),
    )
    at = 0
    for each in order:
        at = html.index(each, at)
    assert html.count("<details>") == 2  # the code of both cells
    assert "def squared(number):" in html
    assert heard == [0, 1 / 3, 2 / 3, (2 + 0.5) / 3]


@pytest.mark.parametrize("module", [cells, photo])
def test_the_examples_in_the_docstrings_run(module):
    assert doctest.testmod(module).failed == 0


def test_cells_share_their_names_but_not_those_of_another_part(part, tmp_path):
    perform(part, Page("tour"))
    other = tmp_path / "other.py"
    other.write_text("# %%\nsquared(2)\n", encoding="utf-8")
    with pytest.raises(NameError, match="squared"):
        perform(other, Page("tour"))


def test_an_error_surfaces_as_it_is_with_the_lines_of_the_file(part):
    part.write_text(PART + "\n# %%\nfine = 1\nassert squared(3) == 10\n", encoding="utf-8")
    with pytest.raises(AssertionError) as caught:
        perform(part, Page("tour"))
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert last.filename == str(part)
    assert last.line == "assert squared(3) == 10"


def test_in_a_script_figures_become_files_and_the_rest_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["lesson/part9_small.py"])
    show(Figure(figsize=(1, 1)), "the caption", alt="an empty figure")
    show(Figure(figsize=(1, 1)), alt="another")
    tabulate(["name", "value"], [["three", 3], ["eleven", 11]])
    tell("told")
    advance(0.5)
    files = sorted((tmp_path / "tour-figures").iterdir())
    assert [re.sub(r"-\d+", "-N", each.name) for each in files] == ["part9_small-N.png"] * 2
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in files)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(": the caption")
    assert lines[1].endswith(": another")
    assert lines[2:] == ["name    value", "three       3", "eleven     11", "told"]


@pytest.mark.parametrize("number", tour.PARTS)
def test_every_part_is_text_with_a_heading_and_code_that_shows_or_tells(number):
    source = tour.path_of(number).read_text(encoding="utf-8")
    first, *others = cells_of(source)
    assert re.match(rf'"""Part {number} of the tour: ', source)
    assert first.text.startswith(f"# {number}. ")
    assert any(cell.is_prose for cell in others)
    for cell in (first, *others):
        assert cell.text
        if not cell.is_prose:
            compile(cell.text, str(number), "exec")
    shown = re.findall(r"^ *show\(", source, re.MULTILINE)
    assert shown
    assert len(re.findall(r"\balt=", source)) == len(shown)


def pictures_of(number):
    return len(re.findall(r"^ *show\(", tour.path_of(number).read_text(encoding="utf-8"), re.MULTILINE))


def test_parts_1_2_and_6_run_as_the_tour_and_all_their_figures_are_in_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cells, "DPI", 24)
    monkeypatch.setattr(cells, "GIF_DPI", 24)
    out = tmp_path / "tour.html"
    assert tour.main(["-o", str(out), "--parts", "6", "1", "2", "--quiet"]) == 0
    html = out.read_text(encoding="utf-8")
    assert [int(number) for number in re.findall(r"<h2 [^>]*>(\d)\. ", html)] == [1, 2, 6]
    assert html.count("<img") == sum(map(pictures_of, (1, 2, 6)))
    assert html.count("data:image/gif") == 1
    assert re.findall(r'href="(#s\d)"', html) == [f"#{name}" for name in re.findall(r'<h2 id="(s\d)"', html)]
    assert all(len(alt) > 30 for alt in re.findall(r'<img[^>]* alt="([^"]*)"', html))
    assert "python -m recipes.tour --parts 1 2 6" in unescape(html)
    assert not re.search(r"(src|href)=\"(?!data:|#s\d|https://(arxiv|oeis)\.org/)", html)
    assert re.fullmatch(r".*tour\.html: 3 parts, .* MB, \d+:\d\d\n", capsys.readouterr().out)


def test_a_page_that_has_no_folder_is_refused_before_anything_is_run(tmp_path, capsys):
    assert tour.main(["-o", str(tmp_path / "nowhere" / "tour.html")]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "there is no folder" in said


@pytest.mark.slow
def test_the_whole_tour_is_one_page_with_every_figure(tmp_path):
    from recipes.lesson.experiments import EXPERIMENTS

    out = tmp_path / "tour.html"
    assert tour.main(["-o", str(out), "--quiet"]) == 0
    html = out.read_text(encoding="utf-8")
    assert [int(number) for number in re.findall(r"<h2 [^>]*>(\d)\. ", html)] == list(tour.PARTS)
    assert html.count("<img") == sum(map(pictures_of, range(1, 7))) + len(EXPERIMENTS)
    assert out.stat().st_size < 12e6
