"""`meshbox run` as a command; what a node does is in tests/node/test_node.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.node.processes import MESHBOX, clean_environment


@pytest.mark.skipif(sys.platform != "linux", reason="/proc shows what is loaded")
def test_a_signal_while_it_loads_ends_it_cleanly(tmp_path: Path) -> None:
    command = [*MESHBOX, "run", "--data-dir", str(tmp_path / "data"), "--http", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment())
    # One of the libraries that are loaded after the options were read.
    while "msgspec" not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 0
