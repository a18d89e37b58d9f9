"""Run the promises' proofs and write what was found: ``RELIABILITY.md`` and ``reliability.json`` beside this file.

uv run python -m tests.reliability                  # about ten minutes on two cores
uv run python -m tests.reliability --quick --only 1 7 -o /tmp/found
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import torch

from tests.reliability.promise import Absent, Promise, Tier, promises
from tests.reliability.table import markdown, surroundings

HERE = Path(__file__).parent


def examine(promise: Promise, name: str, seed: int) -> dict:
    """One row: the promise, its figure, its control's, and whether it is kept: the proof held, the control did not."""
    row = {"number": promise.number, "guarantee": promise.guarantee, "naive": promise.naive}
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        try:
            for part in ("proof", "control"):
                tier = Tier(name, Path(scratch) / part, seed)
                tier.scratch.mkdir()
                figure = getattr(promise, part)(tier)
                row[part] = {"held": figure.held, "of": figure.of, "said": figure.said, "facts": figure.facts}
                row["kept"] = row.get("kept", True) and figure.all_held == (part == "proof")
        except Absent as missing:
            return {**row, "kept": None, "absent": str(missing)}
        return {**row, "seconds": round(time.perf_counter() - began, 1)}


def main() -> int:
    """Exit code 0 if all that could be tried is kept, 1 if a promise is broken or a control did not fail."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the quick tier: about a minute")
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="promises of these numbers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, help="folder for both files (default: where the repository has them)")
    arguments = parser.parse_args()
    if arguments.only and not arguments.out:
        parser.error("--only makes no whole table; name a folder with -o")
    torch.set_num_threads(1)
    chosen = [promise for promise in promises() if not arguments.only or promise.number in arguments.only]
    name, rows = "quick" if arguments.quick else "full", []
    for promise in chosen:
        print(f"{promise.number:2} {promise.guarantee}", file=sys.stderr, flush=True)
        row = examine(promise, name, arguments.seed)
        rows.append(row)
        found = row.get("absent") or f"{row['proof']['said']} | control: {row['control']['said']} | {row['seconds']} s"
        print(f"   {'not tried' if row['kept'] is None else 'kept' if row['kept'] else 'BROKEN'}: {found}", flush=True)
    found = {**surroundings(name, arguments.seed), "promises": rows}
    page, data = HERE.parents[1] / "RELIABILITY.md", HERE / "reliability.json"
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        page, data = arguments.out / page.name, arguments.out / data.name
    data.write_text(json.dumps(found, indent=2) + "\n")
    page.write_text(markdown(found))
    return int(any(row["kept"] is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
