"""`scripts/torture cassandra`, short: three servers, of which first one dies and then another."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cassandra import require_cassandra

ROOT = Path(__file__).parents[2]
RUN_S_MAX = 280.0
"""Seconds: a minute where nothing else runs."""
GAP_MS_MAX = 10_000
"""Milliseconds after which these servers give up a read. Having just started, they ask another one
after half of that."""


@pytest.mark.xdist_group("cassandra")
@pytest.mark.timeout(300)
def test_one_of_three_servers_is_not_missed_and_two_are_told_of(tmp_path: Path) -> None:
    require_cassandra()
    command = ["cassandra", "--json", "--seconds=6", "--no-freeze", f"--dir={tmp_path}"]
    finished = subprocess.run(
        [ROOT / "scripts/torture", *command],
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    print(finished.stdout)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    figures = json.loads(finished.stdout)
    assert (figures["kills"], figures["lost"], figures["missed"]) == (2, 0, 0)
    assert figures["by_two"] > 0, "with one of them dead"
    assert figures["gap_ms"] < GAP_MS_MAX
    assert figures["told_ms"] > 0, "503 with Retry-After, with two of them dead"
    assert figures["refused"] > 0
    assert list(tmp_path.iterdir()) == []
