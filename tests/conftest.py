"""Settings of every test: how hypothesis searches, and that CI skips nothing in silence.

MESHBOX_TEST_REQUIRE_ALL=1 turns each skip into a failure, so a test whose Docker engine or network
namespaces are missing skips with the reason at home and cannot be overlooked in CI.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from meshbox.storage.cassandra.address import Access
from scripts.clusters import artifacts
from scripts.clusters.cluster import Cluster
from scripts.tortures.preloading import compile_journal
from tests import cassandra
from tests.lab import require_lab

# Machines are shared: how long one example took says nothing about the code.
settings.register_profile(
    "meshbox",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# Any failing example finds a mutant: none is made smaller. There are few, since each mutant pays
# for them, and always the same ones, so that a survivor is one again.
settings.register_profile(
    "mutate",
    settings.get_profile("meshbox"),
    max_examples=25,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
)
# For who waits: what few examples do not find is left to the whole.
settings.register_profile("fast", settings.get_profile("meshbox"), max_examples=10)
settings.load_profile("meshbox")


@pytest.fixture(scope="session")
def journal_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What writes down all that a process does to a folder, see scripts/tortures/disk.py."""
    if not (shutil.which("cc") or shutil.which("gcc")):
        pytest.skip("needs a C compiler (package gcc)")
    library = tmp_path_factory.mktemp("journal") / "journal.so"
    compile_journal(library)
    return library


@pytest.fixture(scope="session")
def cassandra_cluster() -> Iterator[Cluster]:
    """One real Cassandra for all tests of this process; they take a keyspace each.

    Tests that use it are of the xdist group `cassandra`, so that there is one process of them.
    When this checkout's own runs (`scripts/cassandra up --authenticate`), it is taken.
    """
    running = Cluster(artifacts.FOLDER)
    if running.authenticates and any(state.ready for state in running.states()):
        yield running
        return
    cassandra.require_cassandra()
    cluster = Cluster(cassandra.FOLDER, tied=True)
    cluster.up(nodes=1, network=cassandra.some_network(), authenticate=True)
    yield cluster
    cluster.down()
    shutil.rmtree(cluster.folder)


@pytest.fixture(scope="session")
def cassandra_keyspace(cassandra_cluster: Cluster) -> Iterator[Access]:
    """A keyspace of that Cassandra, with its tables; `cassandra.empty` empties them."""
    access = cassandra.access(cassandra_cluster, f"tests_{os.getpid()}")
    # In a thread, since a test's event loop may be running.
    with ThreadPoolExecutor(1) as threads:
        threads.submit(lambda: asyncio.run(cassandra.create(access))).result()
    yield access
    asyncio.run(cassandra.drop(access))


def pytest_collection_finish() -> None:
    """What was collected stays: the garbage collector need not go through it again and again."""
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("lab"):
        require_lab()


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
