"""Names that files should not have, and what a folder holds before and after."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

LONG = "n" * 251


def hostile_names(ending: str, elsewhere: Path) -> list[str]:
    """About eighty, as a list from elsewhere could give them; those that lead away lead to ``elsewhere``."""
    plain = [
        "a b", " a", "a ", "a.", "a..b", "..", "...", ".hidden", "-o", "--force", "-", "--", "a;rm -rf b",
        "$(id)", "`id`",
        "a|b", "a&b", "a>b", "a'b", 'a"b', "a\\b", "..\\..\\a", "C:\\a", "a:b", "a*b", "a?b", "[a]", "{a}",
        "%2e%2e%2fa", "%00", "&lt;b&gt;", "<script>", "a\nb", "a\rb", "a\tb", "\x1b[31mred", "\x1b]0;title\x07",
        "a\x7fb", "a\x85b",
        "a\u2028b", "\u202egnp.exe", "\u200bzero", "\ufeffbom", "e\u0301", "\u00e9", "ＮＵＬ", "CON", "nul",
        "AUX", "COM1",
        "LPT9", "prn.b", "aA", "AA", "Aa", "ß", "SS", "İ", "ı", "\udcff", "😀", "n" * 120, LONG, "ö" * 120,
        "a_overlay", "a_png", "a-2", "recording", "a_side_by_side", "1e999", "NaN", "None", "~", "~root", "#a", "a,b",
    ]  # fmt: skip
    away = ["../../{}/up", "../{}/../{}/around", "sub/../../{}/down", "./sub/./in", "{}/absolute", "/{}/slashes"]
    names = [f"{name}{ending}" for name in plain]
    names += [f"{name.format(*[elsewhere.name] * 2)}{ending}" for name in away[:4]]
    names += [f"{elsewhere}/absolute{ending}", f"//{elsewhere}/slashes{ending}"]
    return [*names, f"nul\0byte{ending}", "n" * 300 + ending, "", ".", "/"]


def made_files(names: list[str], folder: Path, content: bytes) -> list[str]:
    """Write a file for each name that can be one, where it leads from the folder; their paths, as they were named."""
    made = []
    for name in names:
        path = os.path.join(folder, name)  # noqa: PTH118 (an absolute name takes over, which is the point)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
            with open(path, "xb") as file:  # noqa: PTH123
                file.write(content)
        except (OSError, ValueError):
            continue
        made.append(path)
    return made


def contents(*folders: Path) -> dict[str, str]:
    """The digest of every file below these folders, and where links lead."""
    found = {}
    for path in (path for folder in folders for path in sorted(folder.rglob("*"))):
        if path.is_symlink():
            found[str(path)] = os.readlink(path)  # noqa: PTH115
        elif path.is_file():
            found[str(path)] = sha256(path.read_bytes()).hexdigest()
    return found
