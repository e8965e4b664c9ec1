"""`meshbox id`: of a folder that is new, at rest, or in use, always the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.node.processes import MESHBOX, clean_environment, meshbox, start_node


def test_a_new_folder_gets_its_key_and_its_store(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    document = meshbox("id", "--data-dir", str(folder), "--json").document
    assert document["schema"] == "meshbox.id/1"
    assert document["data_dir"] == str(folder)
    assert (folder / "identity.key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "store" / "CURRENT").exists()
    assert meshbox("id", "--data-dir", str(folder)).out == f"{document['node_id']}\n"
    node = start_node(tmp_path)
    try:
        assert node.node_id == document["node_id"]
        assert node.command("id").out == f"{document['node_id']}\n"
    finally:
        assert node.stop() == 0


def test_two_at_once_make_one_key(tmp_path: Path) -> None:
    command = [*MESHBOX, "id", "--data-dir", str(tmp_path / "data")]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment())
        for _ in range(3)
    ]
    answers = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(answers) == 1


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finished = meshbox("id", "--data-dir", str(tmp_path / "file"))
    assert finished.status == 1
    assert finished.err.startswith("meshbox: error[data_dir.failed]: ")
