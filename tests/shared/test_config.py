"""One dataclass, filled from JSON, a TOML file or ``--set``; what does not fit is one line that helps."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.config import from_json, to_json, with_file, with_settings
from shared.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Circle:
    tagged = True
    radius: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Square:
    tagged = True
    side: float = 2.0
    rotated: bool = False


@dataclass(frozen=True, kw_only=True)
class Pen:
    width: int = 1
    colour: Literal["red", "blue"] = "red"

    def __post_init__(self):
        if self.width < 1:
            raise ValueError(f"width must be at least 1, not {self.width}")


@dataclass(frozen=True, kw_only=True)
class Drawing:
    shape: Circle | Square = Circle()
    pen: Pen = field(default_factory=Pen)
    dilations: tuple[int, ...] = (1, 2)
    shapes: str = "plural"
    limit: int | None = None
    title: str = ""


drawings = st.builds(
    Drawing,
    shape=st.builds(Circle, radius=st.floats(allow_nan=False))
    | st.builds(Square, side=st.floats(allow_nan=False), rotated=st.booleans()),
    pen=st.builds(Pen, width=st.integers(1, 99), colour=st.sampled_from(["red", "blue"])),
    dilations=st.lists(st.integers(), max_size=5).map(tuple),
    limit=st.none() | st.integers(),
    title=st.text(),
)


@given(drawings)
@settings(deadline=None)
def test_a_config_survives_json(drawing: Drawing) -> None:
    assert from_json(Drawing, json.loads(json.dumps(to_json(drawing)))) == drawing


@given(drawings)
@settings(deadline=None)
def test_setting_every_field_to_what_another_config_has_gives_that_config(drawing: Drawing) -> None:
    assignments = [f"{name}={json.dumps(value)}" for name, value in to_json(drawing).items()]
    assert with_settings(Drawing(), assignments) == drawing


def test_a_member_of_a_union_carries_its_name() -> None:
    assert to_json(Drawing(shape=Square()))["shape"] == {"type": "Square", "side": 2.0, "rotated": False}
    assert "type" not in to_json(Drawing())["pen"]


def test_an_absent_field_takes_its_default() -> None:
    assert from_json(Drawing, {}) == Drawing()
    assert from_json(Drawing, {"shape": {"type": "Square"}}).shape == Square()


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("title=hello world", Drawing(title="hello world")),
        ("title=a=b", Drawing(title="a=b")),
        ('title="5"', Drawing(title="5")),
        ("pen.width=3", Drawing(pen=Pen(width=3))),
        ("pen.colour=blue", Drawing(pen=Pen(colour="blue"))),
        ("shape.radius=4", Drawing(shape=Circle(radius=4.0))),
        ('shape={"type": "Square", "side": 3}', Drawing(shape=Square(side=3.0))),
        ("dilations=[1, 2, 4]", Drawing(dilations=(1, 2, 4))),
        ("dilations=[]", Drawing(dilations=())),
        ("limit=7", Drawing(limit=7)),
        ("limit=null", Drawing(limit=None)),
    ],
)
def test_one_assignment_changes_one_field(assignment: str, expected: Drawing) -> None:
    assert with_settings(Drawing(), [assignment]) == expected
    # exactly that type: 4 for a float becomes 4.0
    assert json.dumps(to_json(with_settings(Drawing(), [assignment]))) == json.dumps(to_json(expected))


def test_later_assignments_win_and_the_config_given_is_not_changed() -> None:
    before = Drawing()
    after = with_settings(before, ["pen.width=2", "pen.colour=blue", "pen.width=5"])
    assert after.pen == Pen(width=5, colour="blue")
    assert before == Drawing()
    assert with_settings(before, []) == before


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dilation": [1]}, r"^no setting dilation; did you mean dilations\?$"),
        ({"pen": {"widht": 2}}, r"^no setting pen\.widht; did you mean width\?$"),
        ({"shape": {"type": "Circle", "side": 2}}, r"^no setting shape\.side; there are radius$"),
        ({"zzz": 1}, r"^no setting zzz; there are dilations, limit, pen, shape, shapes, title$"),
        ({"shape": {"type": "Hexagon"}}, r"^shape\.type is 'Hexagon'; it can be Circle, Square$"),
        ({"shape": {}}, r"^shape\.type is None; it can be Circle, Square$"),
        ({"pen": {"colour": "green"}}, r"^pen\.colour is 'green'; it can be red, blue$"),
        ({"pen": {"width": 0}}, r"^pen: width must be at least 1, not 0$"),
        ({"pen": 3}, r"^pen: a table of settings is needed, not 3$"),
        ({"pen": {"width": "wide"}}, r"^pen\.width takes int, not 'wide'$"),
        ({"pen": {"width": 1.5}}, r"^pen\.width takes int, not 1\.5$"),
        ({"pen": {"width": True}}, r"^pen\.width takes int, not True$"),
        ({"shape": {"type": "Circle", "radius": True}}, r"^shape\.radius takes float, not True$"),
        ({"shape": {"type": "Circle", "radius": 10**400}}, r"^shape\.radius is a number beyond all floats$"),
        ({"shape": {"type": "Square", "rotated": 1}}, r"^shape\.rotated takes bool, not 1$"),
        ({"title": None}, r"^title takes str, not None$"),
        ({"limit": "none"}, r"^limit takes int, not 'none'$"),
        ({"dilations": 3}, r"^dilations takes a list, not 3$"),
        ({"dilations": [1, "2"]}, r"^dilations takes int, not '2'$"),
        ([], r"^Drawing: a table of settings is needed, not \[\]$"),
        (None, r"^Drawing: a table of settings is needed, not None$"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(values: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_json(Drawing, values)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("pen.width", r"^--set pen\.width: a setting is written name=value"),
        ("pens.width=3", r"^no settings under pens; did you mean pen\?$"),
        ("pen.tip.size=3", r"^no settings under pen\.tip; "),
        ("pen.widht=3", r"^no setting pen\.widht; did you mean width\?$"),
        ("pen.width=wide", r"^pen\.width takes int, not 'wide'$"),
    ],
)
def test_an_assignment_that_does_not_fit_is_named_in_one_line(assignment: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_settings(Drawing(), [assignment])


def test_a_toml_file_is_laid_over_the_config(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('title = "file"\ndilations = [4, 8]\n[pen]\nwidth = 9\n[shape]\nradius = 3\n')
    before = Drawing(limit=5, pen=Pen(colour="blue"), title="before")
    assert with_file(before, file) == replace(
        before, title="file", dilations=(4, 8), pen=Pen(width=9, colour="blue"), shape=Circle(radius=3.0)
    )


def test_an_empty_toml_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("")
    assert with_file(Drawing(title="same"), tmp_path / "run.toml") == Drawing(title="same")


@pytest.mark.parametrize("content", [b"pen = [", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_file_that_is_no_toml_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"run\.toml: not a TOML file") as caught:
        with_file(Drawing(), tmp_path / "run.toml")
    assert "\n" not in str(caught.value)


def test_a_toml_file_that_is_missing_or_a_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml: no such file"):
        with_file(Drawing(), tmp_path / "none.toml")
    with pytest.raises(InputError, match="not a TOML file"):
        with_file(Drawing(), tmp_path)


def test_an_unknown_setting_in_a_toml_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[pen]\ncolor = 'blue'\n")
    with pytest.raises(InputError, match=r"^no setting pen\.color; did you mean colour\?$"):
        with_file(Drawing(), tmp_path / "run.toml")
