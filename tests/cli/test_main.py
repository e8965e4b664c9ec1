"""The command line as a whole: quick help, exit statuses, one line of error and no traceback."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from meshbox.cli.main import app
from meshbox.node.release import VERSION
from tests.node.processes import clean_environment, meshbox

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "run",
    "id",
    "anchor",
    "config",
    "status",
    "peers",
    "doctor",
    "find",
    "qr",
    "inventory",
    "sweep",
}


def test_the_commands_are_listed() -> None:
    finished = meshbox("--help")
    assert finished.status == 0
    listed = finished.out.partition("Commands:")[2].split()
    assert set(listed) >= COMMANDS
    assert {c.name for c in app.registered_commands} | {"config"} == COMMANDS


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom meshbox.cli.main import main\nmain(['--help'])\n"
        "heavy = {'aiohttp', 'asyncio', 'grpc', 'rocksdict', 'zeroconf', 'cryptography', 'rich'}\n"
        "heavy |= {'http.client', 'ssl', 'email', 'msgspec', 'meshbox.core.inventory'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert finished.stderr.strip() == "[]"


def test_without_a_command_it_is_wrong_use() -> None:
    finished = meshbox()
    assert finished.status == 2
    assert "Commands:" in finished.out


def test_the_version_is_the_package_s() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION
    assert meshbox("--version").out == f"meshbox {VERSION}\n"


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["status", "--nonsense"], ["status", "more"], ["run", "--http"]]
)
def test_wrong_use_is_one_line_and_2(arguments: list[str]) -> None:
    finished = meshbox(*arguments)
    assert finished.status == 2
    assert finished.out == ""
    assert len(finished.err.splitlines()) == 1
    assert finished.err.startswith("meshbox: error[usage.wrong]: ")
    assert finished.err.endswith("(see meshbox --help)\n")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_has_help_and_json(command: str) -> None:
    finished = meshbox(command, "--help")
    assert finished.status == 0
    # What `run` prints is JSON anyway.
    assert ("--json" in finished.out) == (command != "run")


def test_the_installed_command_is_the_same() -> None:
    installed = Path(sys.executable).with_name("meshbox")
    finished = subprocess.run(
        [installed, "--version"],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(),
    )
    assert finished.stdout == f"meshbox {VERSION}\n"
