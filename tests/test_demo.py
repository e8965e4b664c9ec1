"""The demo succeeds, and it fails when anything that it tells is not so."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts.demo_steps.app import Messages, Reader, write
from scripts.demo_steps.faults import DemoFailed
from scripts.demo_steps.island_processes import IslandProcesses
from scripts.demo_steps.island_story import IslandStory
from scripts.demo_steps.mesh import NAMES
from scripts.demo_steps.processes import ProcessMesh
from scripts.demo_steps.story import Story
from scripts.demo_steps.tale import judge_content, judge_inventories
from scripts.demo_steps.telling import Report, listed, spoken
from tests.cassandra import require_cassandra
from tests.lab import require_lab
from tests.node.processes import clean_environment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "scripts/demo"
DEMO_S_MAX = 100.0
PROC = Path("/proc")
ISLAND_STEPS = ["start", "find", "out", "back", "take over", "come back", "compare", "stop"]
STEPS = [
    *("start", "find", "deliver", "older apps", "kill", "go on", "catch up", "compare", "stop"),
]


def start_demo(folder: Path, *options: str, **variables: str) -> subprocess.Popen[str]:
    """The demo, with its temporary folder below `folder`."""
    return subprocess.Popen(
        [DEMO, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment({"TMPDIR": str(folder), **variables}),
        text=True,
    )


def run_demo(folder: Path, *options: str, **variables: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    with start_demo(folder, *options, **variables) as demo:
        out, err = demo.communicate(timeout=DEMO_S_MAX)
    return demo.returncode, out, err


def nodes_below(folder: Path) -> dict[str, int]:
    """The process ids of nodes whose data folder is below `folder`, by their names."""
    pattern = re.compile(rf"--data-dir {re.escape(str(folder))}/\S*/(\w+) ")
    return {
        match[1]: pid for pid, command in commands() if (match := pattern.search(command + " "))
    }


def commands() -> Iterator[tuple[int, str]]:
    """Every process of this machine with its command line."""
    if not PROC.is_dir():  # macOS
        listing = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, check=True
        )
        for line in listing.stdout.decode().splitlines():
            pid, _, command = line.strip().partition(" ")
            yield int(pid), command
    for path in PROC.glob("[0-9]*/cmdline"):
        with suppress(OSError):  # It ended meanwhile.
            yield int(path.parent.name), path.read_bytes().replace(b"\0", b" ").decode()


def assert_nothing_left(folder: Path) -> None:
    assert nodes_below(folder) == {}
    assert list(folder.iterdir()) == []


def test_it_sees_all_of_it(tmp_path: Path) -> None:
    status, out, err = run_demo(tmp_path, "--json")
    assert (status, err) == (0, "")
    document = json.loads(out)
    assert (document["schema"], document["ok"], document["by"]) == (
        *("meshbox.demo/1", True, "processes"),
    )
    assert document["failure"] is None
    assert [step["name"] for step in document["steps"]] == STEPS
    assert all(step["ok"] and step["ms"] > 0 and step["said"] for step in document["steps"])
    measured = {step["name"]: step["measured"] for step in document["steps"]}
    assert measured["compare"]["messages"] == 255
    assert {"ready_ms", "south_caught_up_ms", "north_returned_ms"} <= measured["catch up"].keys()
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("options", "by"),
    [
        ([], "namespaces"),
        (["--relays"], "processes"),
        pytest.param(["--cassandra"], "processes", marks=pytest.mark.xdist_group("cassandra")),
    ],
)
def test_it_sees_islands_meet(tmp_path: Path, options: list[str], by: str) -> None:
    if by == "namespaces":
        require_lab()
    if "--cassandra" in options:
        require_cassandra()
    status, out, err = run_demo(tmp_path, "--islands", *options, "--json")
    assert (status, err) == (0, "")
    document = json.loads(out)
    assert document["by"] == by
    assert [step["name"] for step in document["steps"]] == ISLAND_STEPS
    measured = {step["name"]: step["measured"] for step in document["steps"]}
    assert measured["take over"]["alder_carried"] + measured["take over"]["ash_carried"] == 20
    assert measured["compare"]["messages"] == 40
    assert_nothing_left(tmp_path)


class Stranded(IslandProcesses):
    """The internet does not return."""

    def heal(self) -> None:
        pass


def test_it_fails_when_islands_do_not_meet(tmp_path: Path) -> None:
    islands = Stranded(tmp_path)
    report = Report(by="processes", as_json=True)
    try:
        with pytest.raises(DemoFailed, match="after 2 s harbour has 0 of 10 messages"):
            IslandStory(islands, report, patience_s=2.0).tell()
    finally:
        islands.end()


def test_it_is_short_and_plain_where_there_is_no_modern_terminal(tmp_path: Path) -> None:
    status, out, err = run_demo(tmp_path, "--keep", PYTHONIOENCODING="ascii")
    assert (status, err) == (0, "")
    assert out.isascii()
    assert len(out.splitlines()) <= 30
    assert "\x1b" not in out
    for name in NAMES:
        assert name in out
    (kept,) = tmp_path.iterdir()
    assert str(kept) in out
    assert {f"{name}.log" for name in NAMES} < {path.name for path in kept.iterdir()}
    assert nodes_below(tmp_path) == {}


@pytest.mark.parametrize(
    "options",
    [
        ["--block-sync", "west"],
        ["--patience", "0"],
        ["--islands", "--block-sync", "south"],
        ["--relays"],
        ["--cassandra"],
        ["--nonsense"],
    ],
)
def test_wrong_use_is_told(tmp_path: Path, options: list[str]) -> None:
    status, _, err = run_demo(tmp_path, *options)
    assert status == 2
    assert options[0] in err
    assert_nothing_left(tmp_path)


def test_it_fails_when_a_node_cannot_sync(tmp_path: Path) -> None:
    status, out, err = run_demo(tmp_path, "--block-sync", "south", "--patience", "3")
    assert status == 1
    assert "failed at step 'find'" in err
    assert "south has no connection with north and east" in err
    assert "node.ready" in err, "the end of that node's log"
    assert "found each other" not in out
    assert_nothing_left(tmp_path)


def test_it_fails_when_a_node_dies(tmp_path: Path) -> None:
    with start_demo(tmp_path) as demo:
        await_line(demo, "found each other")
        os.kill(nodes_below(tmp_path)["east"], signal.SIGKILL)
        _, err = demo.communicate(timeout=DEMO_S_MAX)
    assert demo.returncode == 1
    assert re.search("failed at step .*: east ", err)
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("moment", ["Starting", "found each other"])
def test_a_signal_ends_it_cleanly(
    tmp_path: Path, number: signal.Signals, expected: int, moment: str
) -> None:
    with start_demo(tmp_path) as demo:
        await_line(demo, moment)
        demo.send_signal(number)
        demo.send_signal(number)
        _, err = demo.communicate(timeout=DEMO_S_MAX)
    assert demo.returncode == expected
    assert f"stopped by {number.name}" in err
    assert_nothing_left(tmp_path)


def await_line(demo: subprocess.Popen[str], text: str) -> None:
    """Reads what the demo tells up to a line with `text`."""
    assert demo.stdout is not None
    assert any(text in line for line in demo.stdout), "it ended before"


class Overconfident(ProcessMesh):
    """Its status says that all are connected, also with east, whose sync is cut off."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, blocked="east")

    def status(self, name: str) -> dict[str, Any]:
        return {"peers": [{"node_id": self.node_id(n), "state": "connected"} for n in NAMES]}


class Immortal(ProcessMesh):
    """Does not kill."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, blocked=None)

    def kill(self, name: str) -> None:
        pass


class Forgetful(Immortal):
    """Loses what a killed node had on its disk."""

    def kill(self, name: str) -> None:
        ProcessMesh.kill(self, name)
        shutil.rmtree(self.folder_of(name))


class Isolating(Immortal):
    """A killed node comes back with its sync cut off."""

    def kill(self, name: str) -> None:
        ProcessMesh.kill(self, name)
        self._blocked = name


@pytest.mark.parametrize(
    ("sabotage", "step", "reason"),
    [
        (Overconfident, "deliver", "after 1 s east has 0 of 30 messages"),
        (Immortal, "kill", "south still answers"),
        (Forgetful, "catch up", "south came back with another key"),
        (Isolating, "catch up", "after 1 s south has 0 of 200 messages"),
    ],
)
def test_it_believes_only_what_it_reads(
    tmp_path: Path, sabotage: Callable[[Path], ProcessMesh], step: str, reason: str
) -> None:
    mesh = sabotage(tmp_path)
    report = Report(by="processes", as_json=True)
    try:
        with pytest.raises(DemoFailed, match=reason) as failed:
            Story(mesh, report, patience_s=1.0).tell()
    finally:
        mesh.end()
    report.failed(failed.value)
    assert report.failure is not None
    assert report.failure.step == step
    assert nodes_below(tmp_path) == {}


@pytest.fixture
def liar() -> Iterator[str]:
    """HOST:PORT of a mailbox that gives empty messages for 0 and 1 of author "a"."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            new = {} if asked["topics"]["t"] else {"a": {"0": "", "1": ""}}
            body = json.dumps({"blips_by_topic": {"t": {"blips": new, "missing": {}}}}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({("a", 0): b"", ("a", 1): b"x"}, "north gave message 1 .* other bytes"),
        ({("a", 0): b"", ("a", 1): b"", ("a", 2): b""}, "north has 2 of 3 messages"),
        ({("a", 0): b""}, "north has 1 messages that nobody stored"),
    ],
)
def test_other_content_is_no_success(liar: str, sent: Messages, reason: str) -> None:
    reader = Reader("north", "t", lambda _: liar)
    reader.poll_all()
    with pytest.raises(DemoFailed, match=reason):
        judge_content(reader, sent)


def test_the_same_content_is(liar: str) -> None:
    reader = Reader("north", "t", lambda _: liar)
    reader.poll_all()
    judge_content(reader, {("a", 0): b"", ("a", 1): b""})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"blobs": 1}, "east counts 1 messages of 7 bytes, not 2 of 7"),
        ({"bytes": 8}, "east counts 2 messages of 8 bytes, not 2 of 7"),
        ({"digest": "b"}, "the digests of north and east differ"),
    ],
)
def test_inventories_must_be_equal_and_right(change: dict[str, Any], reason: str) -> None:
    sent = {("a", 0): b"four", ("a", 1): b"and"}
    right = {"blobs": 2, "bytes": 7, "digest": "a"}
    judge_inventories({"north": right, "east": right}, sent)
    with pytest.raises(DemoFailed, match=reason):
        judge_inventories({"north": right, "east": right | change}, sent)


def test_messages_are_numbered_and_differ() -> None:
    messages = write("a", first=3, count=4)
    assert list(messages) == [("a", 3), ("a", 4), ("a", 5), ("a", 6)]
    assert len(set(messages.values())) == 4


def test_durations_and_lists_are_told_as_people_do() -> None:
    assert [spoken(ms) for ms in (0.4, 14.4, 999.0, 1_340.0)] == [
        "0 ms",
        "14 ms",
        "999 ms",
        "1.3 s",
    ]
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == [
        *("a", "a and b", "a, b and c"),
    ]
