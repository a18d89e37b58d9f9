"""Which samples validation gets: a function of their names alone, so that it survives a move to another machine.

By file, a sample goes by the hash of its name: it keeps its side when others come or go, unless the set is so small
that the share would be missed by half. By prefix, samples whose names agree up to the last number are frames of one
video and stay on one side: neighbouring frames are near copies, and a score on copies of what was learnt is worth
nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from shared.errors import InputError
from shared.folders import place_of

By = Literal["file", "prefix"]


def split(names: Sequence[str], share: float, by: By = "file") -> tuple[list[int], list[int]]:
    """``(train, validation)``: places in ``names``, each ascending, disjoint, all of them together.

    About ``share`` of the names is held back, at least one, and at least one is left; a single name is for training.
    Videos are held back whole, in the order of their hashes, as long as that does not exceed the share by half; the
    smallest one, where none fits. If all names share one prefix, the last frames are held back. Raises InputError
    for a share outside [0, 1).

    >>> split(["a_1", "a_2", "a_3", "b_1", "b_2"], 0.4, by="prefix")
    ([0, 1, 2], [3, 4])
    """
    if not 0 <= share < 1:
        raise InputError(f"validation: {share} is no share of the pictures; give 0.1 for a tenth")
    if len(names) < 2 or not share:
        return list(range(len(names))), []
    held = _by_prefix(names, share) if by == "prefix" else _by_file(names, share)
    return [at for at in range(len(names)) if at not in held], sorted(held)


def prefix(name: str) -> str:
    """What is before the last number of a name, ending aside; the name itself, where it has none.

    >>> prefix("drives/0016E5_07959"), prefix("cat")
    ('drives/0016E5', 'cat')
    """
    match = re.fullmatch(r"(.*?)[-_. ]*\d+", name, re.DOTALL)
    return match[1] if match else name


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key to sort names by as people count: frame 2 before frame 10.

    >>> sorted(["frame 10", "frame 2"], key=natural)
    ['frame 2', 'frame 10']
    """
    parts = re.split(r"([0-9]+)", name)
    key = [(0, int(part), part) if at % 2 else (1, 0, part) for at, part in enumerate(parts)]
    return [part for part in key if part[2]]


def looks_like_video(names: Sequence[str]) -> bool:
    """Whether most names are numbered frames of a few prefixes: then a split by file would leak."""
    groups = _groups(names)
    return len(names) >= 20 and len(groups) * 10 <= len(names) and len(groups) > 1


def _groups(names: Sequence[str]) -> dict[str, list[int]]:
    groups = defaultdict(list)
    for at, name in enumerate(names):
        groups[prefix(name)].append(at)
    return dict(groups)


def _by_file(names: Sequence[str], share: float) -> set[int]:
    order = sorted(range(len(names)), key=lambda at: (place_of(names[at]), names[at]))
    count = sum(place_of(name) < share for name in names)
    wanted = share * len(names)  # of few files, chance may hold back all or none: not over half off
    count = min(max(count, round(wanted / 2), 1), max(int(1.5 * wanted), 1), len(names) - 1)
    return set(order[:count])


def _by_prefix(names: Sequence[str], share: float) -> set[int]:
    groups = _groups(names)
    wanted = share * len(names)
    if len(groups) == 1:
        count = min(max(1, round(wanted)), len(names) - 1)
        return set(sorted(range(len(names)), key=lambda at: natural(names[at]))[-count:])
    held: set[int] = set()
    for _, places in sorted(groups.items(), key=lambda item: (place_of(item[0]), item[0])):
        together = len(held) + len(places)
        if len(held) < wanted and together <= 1.5 * wanted and together < len(names):
            held.update(places)
    return held or set(min(groups.values(), key=lambda places: (len(places), names[places[0]])))
