"""Files that are there whole, or as they were before."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ollama_fast._whole_file import check_writable, replaced
from transports import GENEROUS


def write(path: Path, content: bytes = b"after") -> None:
    with replaced(path) as file:
        file.write(content)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("before")
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    with replaced(link) as file:
        file.write(b"after")
        assert path.read_text() == "before"
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode), link.is_symlink()) == ("after", 0o640, True)


def test_a_link_to_what_is_not_there_yet_stays_one(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "new")
    write(link)
    assert link.is_symlink()
    assert (tmp_path / "new").read_bytes() == b"after"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, OSError])
def test_a_file_stays_as_it_was_if_writing_fails(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("before")

    def failing() -> None:
        with replaced(path) as file:
            file.write(b"aft")
            raise error

    with pytest.raises(error):
        failing()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
def test_a_full_disk_leaves_the_old_file_alone(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out"
    path.write_text("before")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, step) if step == "fsync" else (Path, step)), full)
    with pytest.raises(OSError, match="No space"):
        write(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has no such permissions")
def test_what_nobody_else_may_read_is_so_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.touch(0o600)
    with replaced(path):
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_several_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "out"
    together = threading.Barrier(4)
    contents = [b"%d" % number * 100_000 for number in range(4)]

    def one(content: bytes) -> None:
        with replaced(path) as file:
            together.wait(GENEROUS)
            file.write(content)

    threads = [threading.Thread(target=one, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GENEROUS)
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_as_long_as_names_may_be_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 120 + ".json")
    write(path)
    assert path.read_bytes() == b"after"


# --- what is no file -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_written_to_and_not_opened_before(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_writable(pipe)
    with subprocess.Popen([sys.executable, "-c", "print(open(__import__('sys').argv[1]).read())", pipe], text=True,
                          stdout=subprocess.PIPE) as reader:  # fmt: skip
        write(pipe)
        assert reader.communicate(timeout=GENEROUS)[0] == "after\n"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    link = tmp_path / "full"  # so that nothing happens to the device even if this fails
    link.symlink_to("/dev/full")
    check_writable(link)
    with pytest.raises(OSError, match="No space"):
        write(link)
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
    assert link.is_symlink()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_file_without_a_name_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    with path.open("w+b") as file:
        path.unlink()
        write(Path(f"/proc/self/fd/{file.fileno()}"))
        assert file.read() == b"after"
    assert list(tmp_path.iterdir()) == []


# --- what cannot be written ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", [write, check_writable], ids=["write", "check"])
@pytest.mark.parametrize(
    ("where", "error"),
    [
        (".", IsADirectoryError),
        ("gone/out", FileNotFoundError),
        ("file/out", NotADirectoryError),
        ("circle", OSError),
        ("socket", OSError),
    ],
)
def test_what_cannot_be_written_is_told_by_its_name(
    where: str, error: type[OSError], attempt: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # paths of sockets must be short
    Path("file").touch()
    Path("circle").symlink_to("circle")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        with pytest.raises(error) as caught:
            attempt(Path(where))
    assert caught.value.filename == where
    assert sorted(path.name for path in tmp_path.iterdir()) == ["circle", "file", "socket"]


@pytest.mark.parametrize("attempt", [write, check_writable], ids=["write", "check"])
def test_a_file_that_may_not_be_written_is_not_replaced(
    attempt: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    path.write_text("before")
    monkeypatch.setattr(os, "access", lambda *_: False)  # whoever runs this may be root, who may write anything
    with pytest.raises(PermissionError) as caught:
        attempt(path)
    assert caught.value.filename == str(path)
    assert path.read_text() == "before"


def test_a_check_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
