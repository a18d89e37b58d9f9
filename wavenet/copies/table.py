"""Whose copies are how close: the model's between two yardsticks, file by file and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wavenet.copies import MEASURES, means
from wavenet.copies.listeners import installed

Figures = Mapping[str, float | None]  # measures by name, as compare gives them


@dataclass(frozen=True)
class Row:
    """What one maker of copies reaches, for each file."""

    name: str
    files: tuple[Figures, ...]

    @property
    def mean(self) -> dict[str, float | None]:
        """Over the files."""
        return means(self.files)


def as_text(rows: Sequence[Row]) -> str:
    """A table for a terminal: a line a row, a column a measure.

    >>> print(as_text([Row("model", ({"log_spectral_distance": 6.54, "f0_cents": None},))]))
           LSD dB ↓  F0 cents ↓
    model      6.54           –
    """
    shown = [measure for measure in MEASURES if measure.name in rows[0].mean]
    lines = [["", *(measure.heading for measure in shown)]]
    for row in rows:
        values = ((measure, row.mean[measure.name]) for measure in shown)
        lines.append([row.name, *("–" if value is None else f"{value:.{m.digits}f}" for m, value in values)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))])
        for first, *rest in lines
    )


def as_values(rows: Sequence[Row], names: Sequence[str]) -> dict[str, object]:
    """The same for JSON, with the figures of each file of ``names``."""
    return {
        "measures": {
            measure.name: {"unit": measure.unit, "better": "higher" if measure.higher else "lower"}
            for measure in MEASURES
            if measure.name in rows[0].mean
        },
        "rows": {
            row.name: {
                "mean": _rounded(row.mean),
                "files": [{"file": name, **_rounded(each)} for name, each in zip(names, row.files, strict=True)],
            }
            for row in rows
        },
    }


def not_installed() -> str:
    """One line about the measures that need packages which are not there; empty where all are.

    >>> not_installed() == "" or not_installed().endswith("not installed; they need the packages pesq and pystoi")
    True
    """
    missing: Iterable[str] = {"pesq", "pystoi"} - set(installed())
    return "PESQ and STOI: not installed; they need the packages pesq and pystoi" if missing else ""


def _rounded(figures: Figures) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 4) for name, value in figures.items()}
