"""What is written safely: content, names, modes, and faults in one line; crashes are in ``tests/reliability``."""

import errno
import os
from pathlib import Path
from unittest import mock

import pytest

from shared import files
from shared.errors import InputError
from shared.files import Disk, sweep, write_file, write_keeping

posix = pytest.mark.skipif(os.name == "nt", reason="signals, limits and modes of POSIX")


def litter(path: Path) -> list[str]:
    return [entry.name for entry in path.parent.iterdir() if entry != path]


def test_content_arrives_byte_for_byte_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    for content in (b"", b"\0\r\n\xff", "zoë\n", b"shorter"):
        write_file(path, content)
        assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
        assert litter(path) == []


def test_what_was_there_goes_on_under_another_name_whether_the_system_has_links_or_not(tmp_path: Path) -> None:
    class WithoutLinks(Disk):
        def link(self, *_: Path) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    for name, disk in (("linked", Disk()), ("copied", WithoutLinks())):
        path, previous = tmp_path / name / "new.bin", tmp_path / name / "old.bin"
        path.parent.mkdir()
        with mock.patch.object(files, "disk", disk):
            write_keeping(path, b"1", previous)
            assert litter(path) == []
            for at in (b"2", b"3"):
                before = path.read_bytes()
                write_keeping(path, at, previous)
                assert (path.read_bytes(), previous.read_bytes()) == (at, before)
                assert litter(path) == [previous.name]


@pytest.mark.parametrize(("number", "more"), [(errno.EIO, ""), (errno.ENOSPC, " MB free"), (errno.EDQUOT, " MB free")])
def test_a_fault_is_one_line_with_the_file_the_reason_and_of_a_full_disk_the_space(
    tmp_path: Path, number: int, more: str
) -> None:
    class Faulty(Disk):
        def sync(self, _: object) -> None:
            raise OSError(number, os.strerror(number))

    (tmp_path / "a.bin").write_bytes(b"old")
    with mock.patch.object(files, "disk", Faulty()), pytest.raises(InputError) as caught:
        write_file(tmp_path / "a.bin", b"new")
    assert str(caught.value).startswith(f"{tmp_path / 'a.bin'}: cannot be written ({os.strerror(number)}")
    assert more in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ((tmp_path / "a.bin").read_bytes(), litter(tmp_path / "a.bin")) == (b"old", [])


def test_a_file_system_that_cannot_sync_folders_is_written_to_all_the_same(tmp_path: Path) -> None:
    with mock.patch.object(os, "fsync", side_effect=[None, OSError(errno.EINVAL, "")]):
        write_file(tmp_path / "a.bin", b"x")
    assert (tmp_path / "a.bin").read_bytes() == b"x"


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
