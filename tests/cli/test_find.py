"""`meshbox find`: a real node, as a program and as a person sees it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.discovery.ears import new_mesh
from tests.node.processes import MESHBOX, RunningNode, clean_environment, meshbox, start_node

MESH = new_mesh()
WHERE = ("--mesh", MESH, "--interface", "127.0.0.1")
LOOK_S = "6"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    node = start_node(tmp_path_factory.mktemp("node"), "--mdns", *WHERE)
    yield node
    node.kill()


def test_a_program_reads_an_event_a_line_until_it_ends_it(found: RunningNode) -> None:
    process = subprocess.Popen(
        [*MESHBOX, "find", "--json", *WHERE],
        stdout=subprocess.PIPE,
        env=clean_environment(),
    )
    assert process.stdout is not None
    proven: dict[str, dict[str, Any]] = {}
    for line in process.stdout:
        event = json.loads(line)
        assert event["schema"] == "meshbox.find/1"
        assert event["id"] == found.node_id
        if event["event"] == "proven":
            proven[event["dialect"]] = event
        if len(proven) == 3:
            break
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    process.stdout.close()
    assert proven["node"]["addresses"] == [found.ready["sync"]]
    assert proven["standard"]["addresses"] == [found.ready["http"]]
    assert proven["swarm"]["addresses"] == [found.ready["http"]]
    assert all(event["rtt_ms"] > 0 for event in proven.values())


def test_it_ends_without_a_word_when_nobody_reads_any_more(found: RunningNode) -> None:
    process = subprocess.Popen(
        [*MESHBOX, "find", "--json", *WHERE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert found.node_id.encode() in process.stdout.readline()
    process.stdout.close()
    assert (process.wait(30), process.stderr.read()) == (0, b"")
    process.stderr.close()


@pytest.mark.slow
def test_a_person_sees_a_list(found: RunningNode) -> None:
    told = meshbox("find", "--seconds", LOOK_S, *WHERE)
    assert (told.status, told.err) == (0, "")
    heading, *rows = told.out.splitlines()
    assert heading.split() == ["DIALECT", "ID", "KEY", "RTT", "HEARD", "ADDRESSES"]
    assert [row.split()[:3] for row in rows] == [
        [dialect, found.node_id, "proven"] for dialect in ("node", "standard", "swarm")
    ]


def test_on_a_terminal_the_list_is_drawn_while_it_looks(found: RunningNode) -> None:
    terminal, side = pty.openpty()
    process = subprocess.Popen(
        [*MESHBOX, "find", *WHERE], stdout=side, env=clean_environment({"TERM": "xterm"})
    )
    os.close(side)
    shown = b""
    while found.node_id.encode() not in shown:
        shown += os.read(terminal, 4096)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    os.close(terminal)


def test_where_nothing_is_it_says_so() -> None:
    told = meshbox("find", "--seconds", "0.2", "--mesh", new_mesh(), "--interface", "127.0.0.1")
    assert (told.status, told.out) == (0, "nothing found\n")


@pytest.mark.parametrize(
    "option", [("--mesh", "No Mesh"), ("--interface", "no/thing"), ("--seconds", "-1")]
)
def test_what_cannot_be_is_wrong_use(option: tuple[str, str]) -> None:
    told = meshbox("find", "--seconds", "0.1", *option)
    assert told.status == 2
    assert told.err.startswith("meshbox: error[")
