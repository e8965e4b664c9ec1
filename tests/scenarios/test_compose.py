"""The image and docker-compose.yml on a real engine: three nodes that find each other by mDNS.

Takes the engine that `docker compose` talks to, else the one that `../shared/tools/docker-engine`
starts; skips where there is neither. Only what this run made, by its project's name, is removed.
The tests share three containers; all but the last leave them running and equal.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.demo_steps import app
from scripts.demo_steps.app import Messages, Reader, new_id, store, write
from scripts.demo_steps.compose import ComposeMesh
from scripts.demo_steps.islands import ALL
from scripts.demo_steps.mesh import NAMES
from scripts.demo_steps.waiting import Stopwatch, until

ROOT = Path(__file__).parents[2]
ENGINE_TOOL = ROOT.parent / "shared/tools/docker-engine"

ENGINE_S_MAX = 500.0
ARRIVE_S_MAX = 30.0
NOTICE_S_MAX = 20.0
PAUSE_S = 0.05
BIG_BYTES = 40_000_000
BIG_S_MAX = 60.0

STORE_INSIDE = """
import sys, urllib.request
url, kind = "http://127.0.0.1:3000/blips/store", {"Content-Type": "application/json"}
request = urllib.request.Request(url, sys.stdin.buffer.read(), kind)
assert urllib.request.urlopen(request, timeout=10).status == 201
"""

pytestmark = [pytest.mark.xdist_group("docker"), pytest.mark.timeout(900)]


def docker(*arguments: str, text: str | None = None) -> str:
    """The output of a docker command that must succeed."""
    done = subprocess.run(
        ["docker", *arguments], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_there() -> bool:
    """Whether an engine and compose answer."""
    try:
        return all(
            subprocess.run(
                ["docker", *command], capture_output=True, timeout=60, check=False
            ).returncode
            == 0
            for command in (["version"], ["compose", "version"])
        )
    except OSError:
        return False


def tool(command: str) -> str:
    """What the tool prints; skips the test when it cannot."""
    done = subprocess.run(
        [ENGINE_TOOL, command], capture_output=True, text=True, timeout=ENGINE_S_MAX, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no Docker engine: {done.stderr.strip()[-300:]}")
    return done.stdout


def environment_of(exports: str) -> dict[str, str]:
    """The environment after a shell has read `exports`."""
    shell = ["bash", "-c", 'eval "$1" && env -0', "bash", exports]
    entries = subprocess.run(shell, capture_output=True, text=True, check=True).stdout
    return dict(entry.split("=", 1) for entry in entries.split("\0") if entry)


@contextmanager
def alone() -> Iterator[None]:
    """Waits for other runs: who started the tool's engine ends it, with all that runs on it."""
    with (Path(tempfile.gettempdir()) / "meshbox-test-docker.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def engine() -> Iterator[None]:
    """An engine that the docker command of this process's environment talks to."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        begun = False
        if not is_there():
            if not os.access(ENGINE_TOOL, os.X_OK):
                pytest.skip("no Docker engine with compose answers")
            stack.enter_context(alone())
            for name, value in environment_of(tool("env")).items():
                patch.setenv(name, value)
            begun = not is_there()
            tool("base")
        yield
        if begun:
            tool("down")


@pytest.fixture(scope="module")
def mesh(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeMesh]:
    """Three containers, ready."""
    made = ComposeMesh(ROOT, tmp_path_factory.mktemp("compose"), project="meshbox-test")
    try:
        made.start()
        yield made
    finally:
        made.end()
    assert remains(made.project) == []


def remains(project: str) -> list[str]:
    """The containers, networks and volumes that a project left."""
    of_it = ("--quiet", "--filter", f"label=com.docker.compose.project={project}")
    listings = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
    return [line for kind in listings for line in docker(*kind, *of_it).split()]


def container(mesh: ComposeMesh, name: str) -> str:
    return f"{mesh.project}-{name}-1"


def inspected(mesh: ComposeMesh, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(docker("inspect", container(mesh, name)))[0]
    return document


def assert_readable(mesh: ComposeMesh, name: str, topic: str, sent: Messages, what: str) -> None:
    """All of `sent` can be read at a node soon; prints after how long."""
    watch = Stopwatch()
    reader = Reader(name, topic, mesh.http)

    def is_read() -> bool:
        reader.poll()
        return reader.has(sent)

    arrived = until(is_read, seconds=ARRIVE_S_MAX, pause_s=PAUSE_S)
    assert arrived, f"{name} has {reader.count(sent)} of {len(sent)}: {mesh.log(name)}"
    print(f"{what}: {len(sent)} at {name} after {watch.ms:.0f} ms")


def assert_equal(mesh: ComposeMesh) -> None:
    """All three soon hold the same."""

    def are_equal() -> bool:
        return len({mesh.inventory(name)["digest"] for name in NAMES}) == 1

    assert until(are_equal, seconds=ARRIVE_S_MAX), {name: mesh.inventory(name) for name in NAMES}


def await_connected(mesh: ComposeMesh, name: str, *, count: int) -> bool:
    """Whether a node soon has sessions with `count` peers."""

    def is_so() -> bool:
        states = [peer["state"] for peer in mesh.status(name)["peers"]]
        return states.count("connected") == count

    return until(is_so, seconds=NOTICE_S_MAX, pause_s=PAUSE_S)


@pytest.mark.parametrize(
    ("name", "always", "in_profile"),
    [
        ("docker-compose.yml", NAMES, {"cassandra", "fleet-schema", "fleet-1", "fleet-2"}),
        ("docker-compose.islands.yml", ALL, {"cassandra", "harbour-schema"}),
    ],
)
def test_the_profiles_with_a_cassandra_are_well_formed(
    engine: None, name: str, always: tuple[str, ...], in_profile: set[str]
) -> None:
    file = str(ROOT / name)
    services = docker("compose", "-f", file, "--profile", "cassandra", "config", "--services")
    assert set(services.split()) == {*always, *in_profile}
    assert set(docker("compose", "-f", file, "config", "--services").split()) == set(always)


def test_all_become_healthy(mesh: ComposeMesh) -> None:
    # `--wait` fails when one of them does not.
    mesh.compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", "60")
    states = {name: inspected(mesh, name)["State"]["Health"]["Status"] for name in NAMES}
    assert states == dict.fromkeys(NAMES, "healthy")


def test_each_is_nobody_in_particular_and_has_its_own_volume(mesh: ComposeMesh) -> None:
    assert {mesh.compose("exec", "--no-TTY", name, "id", "-u").strip() for name in NAMES} == {
        "10001"
    }
    mounts = {name: inspected(mesh, name)["Mounts"] for name in NAMES}
    assert {
        name: (m[0]["Type"], m[0]["Name"], m[0]["Destination"]) for name, m in mounts.items()
    } == {name: ("volume", f"{mesh.project}_{name}", "/data") for name in NAMES}
    assert {inspected(mesh, name)["Config"]["StopTimeout"] for name in NAMES} == {10}
    owner = mesh.compose("exec", "--no-TTY", "north", "stat", "-c", "%u %a", "/data").strip()
    assert owner == "10001 700"


def test_what_north_was_given_is_read_at_the_others(mesh: ComposeMesh) -> None:
    topic, sent = new_id(), write(new_id(), first=0, count=50)
    store(mesh.http("north"), "north", topic, sent)
    for name in ("east", "south"):
        assert_readable(mesh, name, topic, sent, "stored at north")


def test_one_that_was_killed_catches_up(mesh: ComposeMesh) -> None:
    topic, last, missed = (
        new_id(),
        write(new_id(), first=0, count=20),
        write(new_id(), first=0, count=200),
    )
    node_id = mesh.node_id("south")
    store(mesh.http("south"), "south", topic, last)
    mesh.kill("south")
    store(mesh.http("north"), "north", topic, missed)
    assert_readable(mesh, "east", topic, missed, "while south was dead")
    mesh.start_again("south")
    assert mesh.node_id("south") == node_id
    assert_readable(mesh, "south", topic, last | missed, "killed and started again")
    assert_readable(mesh, "north", topic, last, "killed and started again")
    assert_equal(mesh)


def test_one_that_left_the_network_catches_up_both_ways(mesh: ComposeMesh) -> None:
    topic, author = new_id(), new_id()
    theirs, its = write(new_id(), first=0, count=100), write(author, first=0, count=10)
    network, south = f"{mesh.project}_lan", container(mesh, "south")
    assert await_connected(mesh, "north", count=2)
    docker("network", "disconnect", network, south)
    watch = Stopwatch()
    try:
        store(mesh.http("north"), "north", topic, theirs)
        blips = {topic: app.as_json(its)}
        docker(
            "exec", "-i", south, "python3", "-c", STORE_INSIDE, text=json.dumps({"blips": blips})
        )
        assert await_connected(mesh, "north", count=1), "the loss of a peer was not noticed"
        print(f"noticed after {watch.ms:.0f} ms")
        assert await_connected(mesh, "south", count=0)
    finally:
        docker("network", "connect", "--alias", "south", network, south)
    mesh.find_port("south")
    assert_readable(mesh, "south", topic, theirs, "back on the network")
    for name in ("north", "east"):
        assert_readable(mesh, name, topic, its, "back on the network")
    assert_equal(mesh)


def test_forty_megabytes_in_one_blob_arrive(
    mesh: ComposeMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "ANSWER_S_MAX", BIG_S_MAX)
    topic, sent = new_id(), {(new_id(), 0): secrets.token_bytes(BIG_BYTES)}
    stored_ms = store(mesh.http("north"), "north", topic, sent)
    print(f"stored after {stored_ms:.0f} ms")
    for name in ("east", "south"):
        assert_readable(mesh, name, topic, sent, "40 MB")
    assert_equal(mesh)


def test_all_stop_by_themselves_when_asked(mesh: ComposeMesh) -> None:
    """The last one: what the engine must kill has exit status 137."""
    assert mesh.stop() == dict.fromkeys(NAMES, 0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [([], 0), (["--islands"], 0), (["--block-sync", "east", "--patience", "5"], 1)],
    ids=["as it is", "islands", "one cut off"],
)
def test_the_demo_in_containers(engine: None, options: list[str], expected: int) -> None:
    demo = subprocess.Popen(
        [ROOT / "scripts/demo", "--docker", "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with demo:
        out, err = demo.communicate(timeout=600)
    document = json.loads(out)
    assert demo.returncode == expected, err
    assert document["ok"] is (expected == 0)
    assert document["by"] == "docker"
    if expected:
        assert (document["failure"]["step"], document["failure"]["node"]) == ("find", "east")
    story = "islands" if "--islands" in options else "demo"
    assert remains(f"meshbox-{story}-{demo.pid}") == []
