"""Whatever kills the writer, and whenever: the name holds the whole old file or the whole new one."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from shared.errors import InputError
from shared.files import sweep, write_file

HOUSE = Path(__file__).parents[2]
SIZE = 12_000_000  # bytes, as large as a checkpoint
posix = pytest.mark.skipif(os.name == "nt", reason="signals, limits and modes of POSIX")


def python(code: str, *arguments: object) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(HOUSE)}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


def whole(path: Path) -> bool:
    """All SIZE bytes are there, and of one generation."""
    content = path.read_bytes()
    return len(content) == SIZE and content.count(content[:1]) == SIZE


def litter(path: Path) -> list[str]:
    return [entry.name for entry in path.parent.iterdir() if entry != path]


def test_content_arrives_byte_for_byte_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    for content in (b"", b"\0\r\n\xff", "zoë\n", b"shorter"):
        write_file(path, content)
        assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
        assert litter(path) == []


@posix
def test_a_killed_writer_leaves_the_whole_old_or_the_whole_new_file(tmp_path: Path) -> None:
    path, random_delay = tmp_path / "weights.bin", random.Random(0)
    code = """
        import sys
        from pathlib import Path
        from shared.files import write_file
        contents = [bytes([letter]) * int(sys.argv[2]) for letter in b"abcdefgh"]
        for at in range(10**6):
            write_file(Path(sys.argv[1]), contents[at % len(contents)])
            print(at, flush=True)
    """
    interrupted = 0
    for _ in range(20):
        with python(code, path, SIZE) as writer:
            assert writer.stdout.readline() == "0\n"
            time.sleep(random_delay.uniform(0, 0.03))
            writer.send_signal(signal.SIGKILL)
        assert whole(path)
        interrupted += bool(litter(path))
        sweep(tmp_path)
        assert litter(path) == []
    assert interrupted  # or else no kill ever came in the middle of a write, and this test shows nothing


@posix
@pytest.mark.parametrize("step", ["fdopen", "fsync", "chmod", "replace"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_at_each_step_of_a_write_leaves_a_whole_file(tmp_path: Path, step: str, moment: str) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"o" * SIZE)
    code = """
        import os, signal, sys
        from pathlib import Path
        from shared.files import write_file
        path, size, step, moment = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
        original = getattr(os, step)
        def fatal(*arguments, **named):
            if moment == "after":
                original(*arguments, **named)
            os.kill(os.getpid(), signal.SIGKILL)
        setattr(os, step, fatal)
        write_file(path, b"n" * size)
    """
    with python(code, path, SIZE, step, moment) as writer:
        assert writer.wait() == -signal.SIGKILL
    assert whole(path)
    replaced = (step, moment) == ("replace", "after")
    assert path.read_bytes()[:1] == (b"n" if replaced else b"o")


@posix
def test_the_judge_sees_a_torn_file_when_one_is_written_in_place(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"o" * SIZE)
    assert whole(path)
    code = """
        import sys, time
        with open(sys.argv[1], "wb", buffering=0) as file:
            file.write(b"n" * (int(sys.argv[2]) // 2))
            print("half", flush=True)
            time.sleep(60)
    """
    with python(code, path, SIZE) as writer:
        assert writer.stdout.readline() == "half\n"
        writer.send_signal(signal.SIGKILL)
    assert not whole(path)


@posix
def test_a_full_disk_is_one_line_and_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    code = """
        import resource, sys
        from pathlib import Path
        from shared.errors import InputError
        from shared.files import write_file
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        try:
            write_file(Path(sys.argv[1]), b"n" * int(sys.argv[2]))
        except InputError as error:
            print(error)
    """
    with python(code, path, SIZE) as writer:
        said, complaint = writer.communicate()
    assert said == f"{path}: cannot be written (File too large); what was there is untouched\n"
    assert complaint == ""
    assert path.read_bytes() == b"old"
    assert litter(path) == []


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.bin: cannot be written \(No such file or dir") as caught:
        write_file(tmp_path / "nowhere" / "a.bin", b"x")
    assert "\n" not in str(caught.value)


def test_a_name_taken_by_a_folder_is_one_line_and_leaves_no_litter(tmp_path: Path) -> None:
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_file(tmp_path / "a.bin", b"x")
    assert litter(tmp_path / "a.bin") == []


@posix
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0o000, 0o666)])
def test_the_mode_honours_the_umask_and_the_umask_stays(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_file(tmp_path / "a.bin", b"x")
    finally:
        assert os.umask(before) == umask
    assert (tmp_path / "a.bin").stat().st_mode & 0o777 == mode


def test_a_sweep_takes_what_a_kill_left_and_nothing_else(tmp_path: Path) -> None:
    for name in ("model.safetensors", ".hidden", "notes.part", ".model.safetensors.k3j2.part"):
        (tmp_path / name).write_bytes(b"x")
    sweep(tmp_path)
    left = sorted(entry.name for entry in tmp_path.iterdir())
    assert left == [".hidden", "model.safetensors", "notes.part"]
