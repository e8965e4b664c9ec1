"""docs/openapi.yaml against a real node: no 5xx, no answer that it does not describe.

schemathesis asks: its examples, each bound of each schema, and some hundred generated bodies, good
and bad. What it may spend, and where a schema cannot say it, stands in schemathesis.toml.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.interop.checks import Status
from tests.interop.flaws import Flaw
from tests.interop.playing import Server
from tests.interop.reference_server import ReferenceServer
from tests.interop.row import Ask
from tests.interop.table import ROUTES, ROWS

OPENAPI = Path(__file__).parents[2] / "docs/openapi.yaml"
CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
RUN_S_MAX = 100
CASES_MIN = 300


def schemathesis(
    url: str, folder: Path, *options: str, phases: str = "examples,coverage,fuzzing"
) -> subprocess.CompletedProcess[str]:
    """One run, in `folder`, where it leaves what it remembers."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)]
    command += ["run", str(OPENAPI), "--url", url, "--phases", phases, *options]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=RUN_S_MAX, check=False
    )


def test_a_node_answers_as_described(server: Server, tmp_path: Path) -> None:
    run = schemathesis(server.url, tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"Tested: {len(operations())}" in run.stdout
    cases = re.search(r"(\d+) generated", run.stdout)
    assert cases, run.stdout
    assert int(cases[1]) >= CASES_MIN


@pytest.mark.parametrize(
    ("flaw", "operation", "finding"),
    [
        (Flaw.WRONG_SHAPE_IS_500, "getBlips", "Server error"),
        (Flaw.NO_MISSING_MEMBER, "getBlips", "Response violates schema"),
        (Flaw.REJECTIONS_ARE_JSON, "getBlips", "Undocumented Content-Type"),
        (Flaw.DUPLICATE_IS_409, "storeBlips", "Undocumented status code"),
        (Flaw.NO_VARY, "health", "Missing required response headers"),
    ],
)
def test_a_server_that_does_not_is_found_out(
    flaw: Flaw, operation: str, finding: str, tmp_path: Path
) -> None:
    only = ("--include-operation-id", operation)
    with ReferenceServer(frozenset({flaw})) as server:
        run = schemathesis(server.url, tmp_path, *only, phases="examples,coverage")
    assert run.returncode != 0
    assert finding in run.stdout


def test_every_route_is_described() -> None:
    described: dict[str, Any] = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))["paths"]
    assert set(described) == ROUTES


def test_every_status_that_a_row_demands_is_described() -> None:
    """Wrong methods, OPTIONS and unknown paths are described once, in the introduction."""
    described = operations()
    undescribed = {
        (row.id, status)
        for row in ROWS
        for step in row.steps
        if isinstance(step, Ask) and (step.request.method, step.request.path) in described
        for check in step.checks
        if isinstance(check, Status)
        for status in check.statuses[:1]
        if str(status) not in described[step.request.method, step.request.path]
    }
    assert undescribed == set()


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    """(method, path) → status → description."""
    document = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))
    return {
        (method.upper(), path): operation["responses"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
