"""The repository's habits as tests: what holds everywhere, so that no review has to repeat it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
GENERATED = ROOT / "meshbox/wire/v1"
MODULES = sorted(p for p in (ROOT / "meshbox").rglob("*.py") if not p.is_relative_to(GENERATED))
FOLDERS = sorted(p.name for p in (ROOT / "meshbox").iterdir() if (p / "__init__.py").exists())
SCRIPTS = sorted(p for p in (ROOT / "scripts").iterdir() if p.is_file())
ARCHITECTURE_LINES_MAX = 150
FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 40
SLEEPERS = [
    ROOT / "tests" / path
    for path in (
        "waiting.py",
        "simulation",  # its time is virtual
        "sync/bridge/quirky_server.py",  # plays a server that is slow
        "discovery/flooder.py",  # sends so much a second
    )
]
STRAIGHT_RUNS = {
    "meshbox/node/shared_store.py:open_shared": "what is looked at before a key is claimed",
    "meshbox/storage/embedded/opening.py:open_database": "in the one order that is safe",
    "meshbox/sync/service.py:__init__": "every part named once, and put in its place",
}
"""Functions that are longer than that, and why each is not taken apart."""


def names(paths: Iterator[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def does_something(module: ast.Module) -> bool:
    """Whether a function has a body: not so in constants, data types and protocols."""
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not all(
            isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) for s in node.body
        )
        for node in ast.walk(module)
    )


def mirrors(path: Path) -> list[Path]:
    """The test files that may cover a module: its own, or that of a folder it is a part of."""
    parts = path.relative_to(ROOT / "meshbox").with_suffix("").parts
    return [
        ROOT.joinpath("tests", *parts[: depth - 1], f"test_{parts[depth - 1]}.py")
        for depth in range(min(2, len(parts)), len(parts) + 1)
    ]


def test_every_module_says_what_it_is() -> None:
    assert names(p for p in MODULES if not ast.get_docstring(tree(p))) == []


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for path in MODULES}
    assert names(f for f in sorted(folders) if not (f / "__init__.py").exists()) == []


def test_every_module_that_does_something_has_its_test_file() -> None:
    assert (
        names(
            path
            for path in MODULES
            if path.name != "__init__.py"
            and does_something(tree(path))
            and not any(mirror.exists() for mirror in mirrors(path))
        )
        == []
    )


def test_a_long_function_is_a_straight_run_that_reads_best_so() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    }
    assert long == STRAIGHT_RUNS.keys()


def test_no_module_is_named_for_nothing() -> None:
    vague = {"utils", "util", "helpers", "common", "manager", "misc"}
    assert names(p for p in MODULES if vague & set(p.with_suffix("").parts)) == []


def test_a_long_file_says_why() -> None:
    long = [p for p in MODULES if len(p.read_text(encoding="utf-8").splitlines()) > FILE_LINES_MAX]
    assert (
        names(p for p in long if "Over 300 lines:" not in (ast.get_docstring(tree(p)) or "")) == []
    )


def used_of(folder: str) -> set[str]:
    """The modules of a top-level folder that modules outside of it import, as named in it."""
    prefix = f"meshbox.{folder}."
    outside = [path for path in MODULES if not path.is_relative_to(ROOT / "meshbox" / folder)]
    found = set()
    for node in (node for path in outside for node in ast.walk(tree(path))):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        for name in [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]:
            inner = name.removeprefix(prefix).replace(".", "/")
            if name.startswith(prefix) and (
                (ROOT / "meshbox" / folder / f"{inner}.py").exists()
                or (node.module == name and (ROOT / "meshbox" / folder / inner).is_dir())
            ):
                found.add(inner.replace("/", "."))
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_says_what_it_knows_and_what_others_use(folder: str) -> None:
    told = ast.get_docstring(tree(ROOT / "meshbox" / folder / "__init__.py")) or ""
    assert "Must not know" in " ".join(told.split())
    _, _, use = told.partition("Others use ")
    assert set(re.findall(r"`([\w.]+)`", use)) == used_of(folder)


def test_core_neither_waits_nor_reads_nor_prints() -> None:
    """The imports of core are a contract in pyproject.toml; this is what needs no import."""
    waiting = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
    acting = {"__import__", "breakpoint", "eval", "exec", "input", "open", "print"}

    def offends(node: ast.AST) -> bool:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return node.func.id in acting
        return isinstance(node, waiting)

    offences = [
        f"{path.relative_to(ROOT)}: {ast.unparse(node)}"
        for path in MODULES
        if path.is_relative_to(ROOT / "meshbox/core")
        for node in ast.walk(tree(path))
        if offends(node)
    ]
    assert offences == []


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\b(TODO|FIXME|XXX)\b")
    files = [*MODULES, *SCRIPTS, *ROOT.glob("proto/**/*.proto")]
    assert names(p for p in files if later.search(p.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", [*SCRIPTS, ROOT / ".ci/run"], ids=lambda path: path.name)
def test_scripts_can_be_run_and_stop_at_the_first_error(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert os.access(path, os.X_OK)
    assert re.match(r"#!/usr/bin/env (bash|python3)\n", text)
    assert "python3" in text.splitlines()[0] or "\nset -euo pipefail\n" in text


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.name))
def test_scripts_tell_what_they_do(path: Path) -> None:
    told = subprocess.run([path, "--help"], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    assert len(told.stdout.split()) > 5


def test_the_map_stays_short() -> None:
    for path in ROOT.glob("ARCHITECTURE.md"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= ARCHITECTURE_LINES_MAX


def test_the_lock_satisfies_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (ROOT / "requirements/lock.txt").read_text(encoding="utf-8")
    locked = {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([^#\s=]+)==(\S+)$", lock, re.MULTILINE)
    }
    extras = project.get("optional-dependencies", {}).values()
    for declared in [*project["dependencies"], *(line for extra in extras for line in extra)]:
        requirement = Requirement(declared)
        version = locked.get(canonicalize_name(requirement.name))
        assert version, f"{declared} is not locked: run scripts/lock"
        assert requirement.specifier.contains(version), f"{declared} against the lock's {version}"


def test_each_dependency_is_used_and_says_what_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {
        canonicalize_name(Requirement(line).name)
        for line in [*project["dependencies"], *project["optional-dependencies"]["cassandra"]]
    }
    imported = {name for path in MODULES for name in imported_by(tree(path))}
    modules = {"grpcio": "grpc", "protobuf": "google", "cassandra-driver": "cassandra"}
    unused = {n for n in declared if modules.get(n, n).replace("-", "_") not in imported}
    table = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## Dependencies")[1]
    told = {
        canonicalize_name(name)
        for row in re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", row)
    }
    assert (unused, told) == (set(), declared)


def imported_by(module: ast.Module) -> set[str]:
    """The first names of what a module imports, wherever in it."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_generating_again_changes_nothing(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts/gen", tmp_path], check=True)
    fresh = {p.name: p.read_bytes() for p in (tmp_path / "meshbox/wire/v1").iterdir()}
    committed = {p.name: p.read_bytes() for p in GENERATED.iterdir() if p.is_file()}
    assert sorted(fresh) == sorted(committed)
    assert [name for name in fresh if fresh[name] != committed[name]] == []


def test_a_skip_fails_where_all_tests_are_required(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    for name, body in {
        "inside": "def test_it(): pytest.skip('no engine')",
        "marked": "@pytest.mark.skip(reason='no engine')\ndef test_it(): pass",
        "module": "pytest.skip('no engine', allow_module_level=True)",
        "expected": "@pytest.mark.xfail\ndef test_it(): assert False",
    }.items():
        text = f"import pytest\n{body}\n"
        (tmp_path / f"test_{name}.py").write_text(text, encoding="utf-8")
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--rootdir=."),
            *("--continue-on-collection-errors", tmp_path),
        ],
        cwd=tmp_path,
        env={**os.environ, "MESHBOX_TEST_REQUIRE_ALL": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    outcomes = re.findall(r"^([A-Z]+) test_(\w+)\.py", finished.stdout, re.MULTILINE)
    assert sorted(outcomes) == [
        ("ERROR", "marked"),
        ("ERROR", "module"),
        ("FAILED", "inside"),
        ("XFAIL", "expected"),
    ]
    assert finished.returncode != 0


def test_tests_that_need_a_lab_say_so() -> None:
    """Or `scripts/test --fast` would need root."""
    offences = [
        f"{path.relative_to(ROOT)}: {test.name}"
        for path in files_of_parts("test_*.py")
        if not {"pytest.mark.lab", "pytest.mark.slow", "pytest.mark.xdist_group"}
        & marks_of(tree(path))
        for test in tree(path).body
        if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef)
        and test.name.startswith("test_")
        and any(isinstance(node, ast.Name) and node.id == "Lab" for node in ast.walk(test))
        and "pytest.mark.lab" not in map(ast.unparse, test.decorator_list)
    ]
    assert offences == []


def files_of_parts(pattern: str) -> list[Path]:
    """What is not in the folders that `scripts/test --fast` leaves out."""
    left_out = re.search(r"--ignore=tests/\{([\w,]+)\}", (ROOT / "scripts/test").read_text("utf-8"))
    assert left_out
    folders = [ROOT / "tests" / folder for folder in left_out[1].split(",")]
    paths = sorted((ROOT / "tests").rglob(pattern))
    return [path for path in paths if not any(map(path.is_relative_to, folders))]


def test_time_passes_in_one_place() -> None:
    """What will be so is awaited, what must not be is given a while: by `tests/waiting.py`."""
    offences = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if not any(map(path.is_relative_to, SLEEPERS))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"asyncio.sleep", "time.sleep"}
        and ast.unparse(node) != "asyncio.sleep(0)"
    ]
    assert offences == []


def marks_of(module: ast.Module) -> set[str]:
    """What all tests of a file are marked with, as written."""
    return {
        ast.unparse(node)
        for statement in module.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "pytestmark"
        for node in ast.walk(statement.value)
        if isinstance(node, ast.Attribute)
    }


def test_each_decision_has_a_number_of_its_own() -> None:
    numbers = [path.name.split("-")[0] for path in sorted((ROOT / "docs/adr").glob("0*.md"))]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_where_comments_name_the_plan_a_page_tells_what_holds() -> None:
    """The plan, `design.md`, is not in the repository."""
    chapters = re.compile(r"design\.md §?(\d+(?:\.\d+)?)((?:, \d+(?:\.\d+)?)*)")
    files = [p for folder in ("meshbox", "tests", "docs") for p in (ROOT / folder).rglob("*.*")]
    named = {
        chapter
        for path in files
        if path.suffix in {".py", ".md"}
        for first, more in chapters.findall(path.read_text(encoding="utf-8"))
        for chapter in (first, *more.split(", ")[1:])
    }
    told = (ROOT / "docs/words.md").read_text(encoding="utf-8").split("`design.md`")[1]
    rows = {c for row in re.findall(r"^\| ([\d., ]+) \|", told, re.M) for c in row.split(", ")}
    assert named == rows
