"""The diary of a run: ``metrics.jsonl``, one JSON object a line, appended as things happen."""

import json
from pathlib import Path
from typing import Any

from shared.files import write_file


class Journal:
    """Appends records to ``path``; on resuming, what lies beyond the resumed step is forgotten.

    >>> import tempfile
    >>> journal = Journal(Path(tempfile.mkdtemp()) / "metrics.jsonl")
    >>> journal.write(step=1, loss=2.5)
    >>> journal.records()
    [{'step': 1, 'loss': 2.5}]
    """

    def __init__(self, path: Path, resumed_step: int | None = None):
        self.path = path
        if resumed_step is not None and path.exists():
            kept = [record for record in self.records() if record["step"] <= resumed_step]
            write_file(path, "".join(json.dumps(record) + "\n" for record in kept))

    def write(self, *, step: int, **values: Any) -> None:
        """Append one record; it is in the file when this returns."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """All records; a last line that a kill cut short is passed over."""
        records = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return records
