"""The data folder: private, held by one, and clear about what is wrong with it."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from meshbox.core.errors import DataFolderFailed, StoreLocked
from meshbox.node.data_folder import LOCK_NAME, STORE_NAME, held, store_exists
from scripts.tortures.disk import Choice, Disk
from scripts.tortures.preloading import watched


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    mask = os.umask(0)
    try:
        with held(folder):
            assert mode(folder) == 0o700
            assert mode(folder / LOCK_NAME) == 0o600
    finally:
        os.umask(mask)


def test_a_power_cut_does_not_take_a_new_folder_back(tmp_path: Path, journal_library: Path) -> None:
    root, journal = tmp_path / "root", tmp_path / "journal"
    root.mkdir()
    code = (
        "import sys, pathlib\n"
        "from meshbox.node.data_folder import held\n"
        "with held(pathlib.Path(sys.argv[1])): pass"
    )
    environment = os.environ | watched(journal_library, root=root, journal=journal)
    subprocess.run([sys.executable, "-c", code, root / "a" / "b"], env=environment, check=True)
    disk = Disk(root)
    disk.replay(journal)
    disk.cut(Choice.STRICT, random.Random(0))
    assert (root / "a" / "b").is_dir()


def test_an_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    with held(tmp_path):
        assert mode(tmp_path) == 0o750


def test_a_second_holder_is_told_of_the_first(tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(StoreLocked, match=f"process {os.getpid()}"), held(tmp_path):
        pass
    with held(tmp_path):
        pass


def test_the_folder_is_free_when_its_holder_was_killed(tmp_path: Path) -> None:
    code = (
        "import sys, os, signal, pathlib\n"
        "from meshbox.node.data_folder import held\n"
        "with held(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    assert killed.returncode == -9
    with held(tmp_path):
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(DataFolderFailed, match="cannot use"), held(tmp_path / "data"):
        pass
    with pytest.raises(DataFolderFailed, match="cannot use"), held(tmp_path / "data" / "below"):
        pass


def test_a_link_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / LOCK_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataFolderFailed, match="cannot use"), held(tmp_path):
        pass


def test_a_store_exists_from_its_first_file_on(tmp_path: Path) -> None:
    assert not store_exists(tmp_path)
    (tmp_path / STORE_NAME).mkdir()
    assert not store_exists(tmp_path)
    (tmp_path / STORE_NAME / "CURRENT").touch()
    assert store_exists(tmp_path)


def test_a_store_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / STORE_NAME).touch()
    with pytest.raises(DataFolderFailed, match="cannot read"):
        store_exists(tmp_path)
