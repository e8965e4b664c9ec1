"""The disk that forgets: what a program did, as the preloaded library saw it, and what is left."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.tortures.disk import Choice, Disk
from scripts.tortures.preloading import watched
from tests.node.processes import start_node

BEGIN = """
import os
def put(name, data, *, sync=True, flags=os.O_WRONLY | os.O_CREAT):
    fd = os.open(name, flags)
    os.write(fd, data)
    if sync:
        os.fsync(fd)
    os.close(fd)
def sync_names(name="."):
    fd = os.open(name, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
"""

CASES = [
    pytest.param("put('a', b'x', sync=False)", {}, id="nothing synced"),
    pytest.param("put('a', b'x')", {}, id="the bytes, not the name"),
    pytest.param("put('a', b'x', sync=False); sync_names()", {"a": b""}, id="only the name"),
    pytest.param("put('a', b'x'); sync_names()", {"a": b"x"}, id="both"),
    pytest.param(
        "put('a', b'xy'); sync_names(); put('a', b'z', flags=os.O_WRONLY | os.O_APPEND)",
        {"a": b"xyz"},
        id="appended and synced",
    ),
    pytest.param(
        "put('a', b'xy'); sync_names(); put('a', b'z', sync=False)", {"a": b"xy"}, id="overwritten"
    ),
    pytest.param(
        "put('a', b'xy'); sync_names(); put('a', b'', sync=False, flags=os.O_WRONLY | os.O_TRUNC)",
        {"a": b"xy"},
        id="emptied",
    ),
    pytest.param(
        "put('a', b'xyz'); sync_names(); os.truncate('a', 1)", {"a": b"xyz"}, id="cut short"
    ),
    pytest.param(
        "put('a', b'x'); sync_names(); fd = os.open('a', os.O_RDWR); os.pwrite(fd, b'z', 3); "
        "os.ftruncate(fd, 6); os.fdatasync(fd)",
        {"a": b"x\0\0z\0\0"},
        id="written beyond its end and made longer",
    ),
    pytest.param(
        "put('a', b'x'); sync_names(); os.rename('a', 'b')", {"a": b"x"}, id="renamed in vain"
    ),
    pytest.param(
        "put('a', b'x'); put('b', b'y'); sync_names(); os.replace('a', 'b'); sync_names()",
        {"b": b"x"},
        id="renamed",
    ),
    pytest.param("put('a', b'x'); sync_names(); os.unlink('a')", {"a": b"x"}, id="removed in vain"),
    pytest.param("put('a', b'x'); sync_names(); os.remove('a'); sync_names()", {}, id="removed"),
    pytest.param(
        "put('a', b'x'); os.link('a', 'b'); sync_names(); put('b', b'y')",
        {"a": b"y", "b": b"y"},
        id="two names",
    ),
    pytest.param(
        "os.mkdir('f'); put('f/a', b'x'); sync_names('f')", {}, id="in a folder without a name"
    ),
    pytest.param(
        "os.mkdir('f'); sync_names(); put('f/a', b'x'); os.chdir('f'); sync_names()",
        {"f/a": b"x"},
        id="in a folder with one",
    ),
]


def run(code: str, root: Path, library: Path) -> Disk:
    """Does it with `root` as working folder; the disk that saw it."""
    root.mkdir()
    journal = root.parent / "journal"
    environment = os.environ | watched(library, root=root, journal=journal)
    command = [sys.executable, "-I", "-c", BEGIN + code]
    subprocess.run(command, cwd=root, env=environment, check=True, timeout=30)
    disk = Disk(root)
    disk.replay(journal)
    return disk


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.mark.parametrize(("code", "left"), CASES)
def test_a_strict_disk_keeps_what_was_synced(
    code: str, left: dict[str, bytes], tmp_path: Path, journal_library: Path
) -> None:
    disk = run(code, tmp_path / "root", journal_library)
    after = contents(tmp_path / "root")
    disk.kill()
    assert contents(tmp_path / "root") == after
    disk.cut(Choice.STRICT, random.Random(0))
    assert contents(tmp_path / "root") == left


@pytest.mark.parametrize("choice", [Choice.ORDERED, Choice.SCATTERED])
def test_the_rest_is_the_disk_s_choice(
    choice: Choice, tmp_path: Path, journal_library: Path
) -> None:
    code = (
        "put('a', b'x' * 9000); sync_names(); put('b', b'z', sync=False); "
        "put('a', b'y' * 9000, sync=False, flags=os.O_WRONLY | os.O_APPEND)"
    )
    seen = set()
    for seed in range(12):
        folder = tmp_path / str(seed)
        folder.mkdir()
        run(code, folder / "root", journal_library).cut(choice, random.Random(seed))
        left = contents(folder / "root")
        assert left["a"].startswith(b"x" * 9000)
        assert set(left["a"][9000:]) <= {ord("y"), 0}
        assert left.get("b", b"") in (b"", b"z")
        seen.add((left["a"], "b" in left))
    assert len(seen) > 4


def test_a_sync_that_does_nothing(tmp_path: Path, journal_library: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    journal = tmp_path / "journal"
    environment = os.environ | watched(journal_library, root=root, journal=journal, unsynced=".log")
    code = BEGIN + "put('a', b'x'); put('a.log', b'x'); sync_names()"
    command = [sys.executable, "-I", "-c", code]
    subprocess.run(command, cwd=root, env=environment, check=True, timeout=30)
    disk = Disk(root)
    disk.replay(journal)
    disk.cut(Choice.STRICT, random.Random(0))
    assert contents(root) == {"a": b"x", "a.log": b""}


def test_nothing_that_a_node_does_to_its_folder_is_missed(
    tmp_path: Path, journal_library: Path
) -> None:
    """Twice, so that the database is made, recovered, and its files are renamed and removed."""
    root = tmp_path / "root"
    root.mkdir()
    journal = tmp_path / "journal"
    disk = Disk(root)
    for _ in range(2):
        node = start_node(root, environment=watched(journal_library, root=root, journal=journal))
        node.kill()
        disk.replay(journal)
        node.log_path.rename(tmp_path / "log")  # Its own file, but not the node's doing.
    before = contents(root)
    assert "data/store/CURRENT" in before
    disk.kill()
    assert contents(root) == before
