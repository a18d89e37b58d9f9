"""The diary of a run: ``metrics.jsonl``, one JSON object a line, appended as things happen."""

import json
import math
from pathlib import Path
from typing import Any

from shared.errors import InputError
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
        """Append one record; it is in the file when this returns. A number that is not finite becomes null."""
        record = {name: _plain(value) for name, value in {"step": step, **values}.items()}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record, allow_nan=False) + "\n")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror}); free space, then resume") from None

    def records(self) -> list[dict[str, Any]]:
        """All records; a line that a kill cut short is passed over."""
        records = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(record, dict) and "step" in record:
                records.append(record)
        return records


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
