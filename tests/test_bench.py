"""`scripts/bench`: each benchmark runs to its end and says what it must; how fast is not asked."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.benchmarks.faults import BenchFailed
from scripts.benchmarks.load import run_load
from scripts.benchmarks.machine import describe, file_system
from scripts.benchmarks.requests import DIALECTS, Deposits, Texts, filling, logs, post, store_body
from scripts.benchmarks.rows import Figures, percentile
from tests.cassandra import require_cassandra
from tests.waiting import becomes

pytestmark = pytest.mark.xdist_group("bench")

ROOT = Path(__file__).parent.parent
RUN_S_MAX = 90.0
END_S_MAX = 20.0

FIELDS = [
    *("name", "unit", "median", "min", "max", "n", "goal", "baseline", "recorded"),
    "machine",
]

SMALL = {
    "deposits": ["--seconds=0.2"],
    "deposits-batch": ["--seconds=0.2"],
    "cassandra-deposits": ["--seconds=2"],  # A cold server is slow, more so where others work.
    "poll-idle": ["--seconds=0.2", "--blobs=50"],
    "mixed": ["--seconds=0.2", "--blobs=50"],
    "propagation": ["--seconds=0.5"],
    "catchup": ["--blobs=300"],
    "mesh": ["--blobs=60", "--nodes=3"],
    "internet-return": ["--blobs=100"],
    "strangers": ["--blobs=1000"],
    "open": ["--blobs=100"],
    "expire": ["--blobs=100", "--seconds=0.5"],
    "evict": ["--blobs=8000", "--seconds=0.5"],
    "idle": ["--seconds=0.5"],
    "crowd": ["--seconds=0.5", "--nodes=5"],
}
"""Each benchmark, and what makes it quick."""

PRINCIPAL = {
    "deposits": {"deposits.64.rate", "deposits.64.p99", "deposits.1.rate"},
    "deposits-batch": {"deposits-batch.rate"},
    "cassandra-deposits": {"cassandra-deposits.1.rate", "cassandra-deposits.1.statements"},
    "poll-idle": {"poll-idle.50.16.rate", "poll-idle.50.1.rate"},
    "mixed": {"mixed.rate", "mixed.p99"},
    "propagation": {"propagation.2.p50", "propagation.2.p99"},
    "catchup": {"catchup.300.time", "catchup.300.b_rss_growth"},
    "mesh": {"mesh.3.ratio", "mesh.3.duplicates"},
    "internet-return": {"internet-return.out.first", "internet-return.100.time"},
    "strangers": {"strangers.1x1000.0.bytes", "strangers.100x10.10.rounds"},
    "expire": {"expire.100.time", "expire.100.max"},
    "evict": {"evict.8000.rate", "evict.8000.max"},
    "open": {f"open.{n}.{what}" for n in (0, 100) for what in ("ready", "rss", "disk")},
    "idle": {"idle.a_cpu"},
    "crowd": {"crowd.5.memory", "crowd.5.deliver", "crowd.5.outage"},
}


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts/bench", *arguments],
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )


def rows_of(name: str, folder: Path, *options: str) -> dict[str, dict[str, Any]]:
    finished = bench(name, "--json", "--runs=1", f"--dir={folder}", *SMALL[name], *options)
    assert finished.returncode == 0, finished.stderr
    return {row["name"]: row for row in json.loads(finished.stdout)}


@pytest.mark.skipif(sys.platform != "linux", reason="CPU of another process: Linux alone tells")
@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_says_what_it_measured(name: str, tmp_path: Path) -> None:
    if name.startswith("cassandra"):
        require_cassandra()
    rows = rows_of(name, tmp_path)
    assert rows.keys() >= PRINCIPAL[name]
    for row in rows.values():
        assert list(row) == FIELDS
        assert row["min"] <= row["median"] <= row["max"]
        assert row["n"] == 1
        assert row["machine"]["cores"] >= 1
        assert row["machine"]["fdatasync_p50_ms"] > 0
    assert list(tmp_path.iterdir()) == []


def test_deposits_are_compared_with_a_baseline_of_the_same_run(tmp_path: Path) -> None:
    rows = rows_of("deposits", tmp_path, "--dialect=blobs", "--baseline=fdatasync")
    assert rows["deposits.64.rate"]["baseline"] > 0
    assert rows["deposits.64.rate"]["goal"] == 4000
    assert rows["deposits.64.rate"]["recorded"] == 1841


def test_people_get_a_table(tmp_path: Path) -> None:
    finished = bench("open", "--runs=2", f"--dir={tmp_path}", *SMALL["open"])
    assert finished.returncode == 0, finished.stderr
    assert "open.0.ready" in finished.stdout
    assert "≤ 1.5" in finished.stdout


def test_an_unknown_name_is_wrong_use() -> None:
    finished = bench("speed")
    assert finished.returncode == 2
    assert "deposits-batch" in finished.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_benchmark_leaves_nothing_behind(
    number: signal.Signals, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [ROOT / "scripts/bench", "idle", f"--dir={tmp_path}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        becomes(lambda: len(list(tmp_path.glob("*/*/data/control.sock"))) == 2)
        process.send_signal(number)
        assert process.wait(END_S_MAX) == 130
    finally:
        process.kill()
        process.wait()
    assert list(tmp_path.iterdir()) == []
    assert processes_naming(tmp_path) == []


def processes_naming(folder: Path) -> list[str]:
    """The command lines of processes that have `folder` in them; none is seen but on Linux."""
    lines: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_text(errors="replace"))
        except OSError:
            continue  # It ended meanwhile.
    return [line for line in lines if str(folder) in line]


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(1, 101)]
    assert percentile(values, 50) == 50
    assert percentile(values, 99) == 99
    assert percentile([7.0], 99) == 7


def test_figures_become_rows_of_median_and_extremes(tmp_path: Path) -> None:
    figures = Figures()
    for value in (3.0, 1.0, 8.0):
        figures.add("speed", "polls/s", value, goal=2.0, baseline=value * 2, recorded=5.0)
    figures.add("unknown", "ms", None)
    (row,) = figures.rows(describe(tmp_path))
    assert (row.median, row.min, row.max, row.n) == (3, 1, 8, 3)
    assert (row.goal, row.baseline, row.recorded) == (2, 6, 5)


def test_the_blobs_of_a_log_ascend_and_differ() -> None:
    log, texts = logs(1, label="test")[0], Texts(seed=1)
    deposit = Deposits(log, texts=texts, dialect=DIALECTS["blips"])
    for seq in range(12):
        head, body = deposit().split(b"\r\n\r\n", 1)
        assert f"Content-Length: {len(body)}".encode() in head
        document = json.loads(body)["blips"][log.topic][log.author]
        assert document == {str(seq): texts[seq].decode()}
    assert len({texts[seq] for seq in range(100)}) == 100


def test_filling_stores_each_blob_once() -> None:
    some, texts, dialect = logs(7, label="test", topics=2), Texts(seed=1), DIALECTS["blobs"]
    stored = []
    for request in filling(some, blobs=70, texts=texts, dialect=dialect, request_blobs=20):
        for topic, authors in json.loads(request.split(b"\r\n\r\n", 1)[1])["blobs"].items():
            stored += [(topic, author, int(seq)) for author in authors for seq in authors[author]]
    assert len(stored) == len(set(stored)) == 70
    assert {(topic, author) for topic, author, _ in stored} == set(some)
    body = store_body(some, 0, 2, texts=texts, dialect=dialect)
    assert post("/blobs/store", body).endswith(body)


def test_the_disk_is_told_from_memory() -> None:
    if not Path("/proc/self/mounts").exists():
        pytest.skip("only Linux lists its mounts there")
    assert file_system(Path("/proc/self")) == "proc"


async def test_a_refusal_ends_a_load() -> None:
    """What is counted as fast must have been a success."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    with pytest.raises(BenchFailed, match="503"):
        await run_load(f"{host}:{port}", [lambda: post("/", b"")], seconds=5.0)
    server.close()
    await server.wait_closed()
