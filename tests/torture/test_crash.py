"""`scripts/torture crash`, short: a node keeps its word; without syncs it cannot."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RUN_S_MAX = 100.0

pytestmark = [
    pytest.mark.xdist_group("bench"),
    pytest.mark.skipif(
        not (shutil.which("cc") or shutil.which("gcc")), reason="needs a C compiler (package gcc)"
    ),
]


def crash(folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Its exit status and document."""
    finished = subprocess.run(
        [ROOT / "scripts/torture", "crash", "--json", f"--dir={folder}", *options],
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    assert finished.stdout, finished.stderr
    print(finished.stdout)
    document: dict[str, Any] = json.loads(finished.stdout)
    return finished.returncode, document


def test_a_node_keeps_its_word(tmp_path: Path) -> None:
    status, figures = crash(tmp_path, "--seed=4", "--seconds=8")
    assert status == 0
    assert figures["acknowledged"] > 100
    assert figures["kills"] + figures["cuts"] > 2
    assert list(tmp_path.iterdir()) == []


def test_a_node_whose_log_is_not_synced_is_found_out(tmp_path: Path) -> None:
    """The tail of the write-ahead log is all that it loses."""
    status, figures = crash(tmp_path, "--seed=2", "--seconds=40", "--break-sync=.log")
    assert status == 1
    assert figures["lost"] > 0
