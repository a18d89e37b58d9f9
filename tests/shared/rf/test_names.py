"""``rf`` gives every name it promises, and stays light until something heavy is asked for."""

import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

from shared import rf


@pytest.mark.parametrize("name", [*rf.__all__, "of", "explain", "verify", "projective", "effective"])
def test_a_name_is_there_whatever_was_imported_before(name: str) -> None:
    for module in pkgutil.iter_modules(rf.__path__):
        if module.name != "__main__":
            import_module(f"shared.rf.{module.name}")
    assert name in dir(rf)
    assert type(getattr(rf, name)).__name__ != "module"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = rf.nothing


@pytest.mark.parametrize(
    "use",
    [
        "from shared import rf; rf.stack(3, [1, 2, 4, 8]); rf.design(100); dir(rf)",
        "from shared.rf.cli import main, parser; parser().format_help(); main(['3@1,2,4,8', '--json'])",
    ],
)
def test_the_algebra_and_the_command_import_neither_torch_nor_numpy_nor_matplotlib(use: str) -> None:
    script = f"import sys; {use}; print(sorted({{'torch', 'numpy', 'matplotlib'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
