"""Lists and tables are read whole or refused in one line, before they take memory."""

import os
from pathlib import Path

import pytest

from shared.errors import InputError
from shared.limits import LIST_BYTES, LIST_LINES
from shared.tables import lines_of, rows_of


def test_lines_end_as_on_any_system_and_a_mark_of_unicode_is_no_letter(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffé\r\nb\rc\n".encode())
    assert lines_of(tmp_path / "a.txt", "give another") == ["é", "b", "c", ""]


def test_cells_lie_between_the_first_mark_that_occurs(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n"c,d",e\n')
    assert rows_of(tmp_path / "a.csv", "", "\t,")[:2] == [["a", "b"], ["c,d", "e"]]
    (tmp_path / "a.csv").write_text("a,b\tc\n")
    assert rows_of(tmp_path / "a.csv", "", "\t,")[0] == ["a,b", "c"]


def test_what_is_no_text_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\0\x80")
    (tmp_path / "long.csv").write_text(f"{'a' * 200_000},b\n")
    os.mkfifo(tmp_path / "pipe")
    for name in ("a.txt", "pipe", "none", ".", "no\nname", "long.csv"):
        with pytest.raises(InputError) as caught:
            rows_of(tmp_path / name, "give another")
        assert str(caught.value).isprintable()
        assert str(caught.value).endswith("; give another")


@pytest.mark.parametrize("limit", [LIST_BYTES, LIST_LINES])
def test_size_is_held_to_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit) -> None:
    (tmp_path / "a.txt").write_text("a\nb\nc\n")
    monkeypatch.setattr(limit, "most", 2)
    with pytest.raises(InputError, match=f"--limit {limit.name}="):
        lines_of(tmp_path / "a.txt", "give another")
