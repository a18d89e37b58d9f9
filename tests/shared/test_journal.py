"""What was written is in the diary, a torn last line costs only itself, resuming forgets the future."""

import json
from pathlib import Path

import pytest

from shared.training.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def written(path: Path, steps: range) -> Journal:
    journal = Journal(path)
    for step in steps:
        journal.write(step=step, loss=step / 8)
    return journal


def test_records_come_back_in_order_with_their_values(path: Path) -> None:
    journal = Journal(path)
    records = [{"step": 1, "loss": 0.1, "skipped": False}, {"step": 2, "bits": 3.25, "note": "zoë\nnext"}]
    for record in records:
        journal.write(**record)
    assert journal.records() == records
    assert [json.loads(line) for line in path.read_text().splitlines()] == records


def test_a_record_is_in_the_file_when_write_returns(path: Path) -> None:
    journal = Journal(path)
    for step in range(5):
        journal.write(step=step)
        assert len(path.read_bytes().splitlines()) == step + 1


def test_every_record_has_a_step(path: Path) -> None:
    with pytest.raises(TypeError):
        Journal(path).write(loss=1.0)


def test_a_last_line_cut_short_anywhere_costs_only_that_record(path: Path) -> None:
    content = written(path, range(3)).path.read_bytes()
    last = content.splitlines(keepends=True)[-1]
    for cut in range(1, len(last) - 1):
        path.write_bytes(content[: -cut - 1])
        assert [record["step"] for record in Journal(path).records()] == [0, 1]


@pytest.mark.parametrize("resumed", [0, 3, 9, 50])
def test_resuming_forgets_what_lies_beyond_the_resumed_step_alone(path: Path, resumed: int) -> None:
    before = written(path, range(10)).records()
    journal = Journal(path, resumed_step=resumed)
    assert journal.records() == before[: resumed + 1]
    journal.write(step=resumed + 1, loss=-1.0)
    assert journal.records() == [*before[: resumed + 1], {"step": resumed + 1, "loss": -1.0}]


def test_a_run_killed_in_the_middle_of_a_line_resumes_with_whole_lines(path: Path) -> None:
    path.write_bytes(written(path, range(4)).path.read_bytes()[:-5])
    journal = Journal(path, resumed_step=3)
    journal.write(step=3, loss=0.5)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [0, 1, 2, 3]


def test_resuming_a_run_without_a_diary_begins_one(path: Path) -> None:
    journal = Journal(path, resumed_step=5)
    assert not path.exists()
    journal.write(step=6)
    assert journal.records() == [{"step": 6}]
