"""The diary of a run: ``metrics.jsonl``, one JSON object a line, appended as things happen."""

import json
import math
from pathlib import Path
from typing import Any

from shared.files import append, make_safe, write_file


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
        """Append one record; a kill does not undo it any more. A number that is not finite becomes null."""
        record = {name: _plain(value) for name, value in {"step": step, **values}.items()}
        append(self.path, json.dumps(record, allow_nan=False) + "\n")

    def sync(self) -> None:
        """Return when a power cut does not undo any of it either; to be called before a checkpoint is written."""
        if self.path.exists():
            make_safe(self.path)

    def records(self) -> list[dict[str, Any]]:
        """All records; a line that was cut short is passed over."""
        records = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict) and isinstance(record.get("step"), int):
                records.append(record)
        return records


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
