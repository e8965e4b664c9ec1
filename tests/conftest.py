"""Settings of every test: how hypothesis searches, and that CI skips nothing in silence.

MESHBOX_TEST_REQUIRE_ALL=1 turns each skip into a failure, so a test whose Docker engine or network
namespaces are missing skips with the reason at home and cannot be overlooked in CI.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from scripts.tortures.preloading import compile_journal

# Machines are shared: how long one example took says nothing about the code.
settings.register_profile(
    "meshbox",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("meshbox")


@pytest.fixture(scope="session")
def journal_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What writes down all that a process does to a folder, see scripts/tortures/disk.py."""
    if not (shutil.which("cc") or shutil.which("gcc")):
        pytest.skip("needs a C compiler (package gcc)")
    library = tmp_path_factory.mktemp("journal") / "journal.so"
    compile_journal(library)
    return library


REQUIRE_ALL = bool(os.environ.get("MESHBOX_TEST_REQUIRE_ALL"))


def _fail_when_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, and MESHBOX_TEST_REQUIRE_ALL is set: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_when_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_when_skipped(report)
    return report
