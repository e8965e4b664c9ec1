"""Which modules `scripts/mutate` tries, and how it counts what mutmut says of them."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

from scripts.mutating.groups import Group, groups
from scripts.mutating.modules import (
    NoSuchBase,
    all_modules,
    changed_modules,
    module_of,
)
from scripts.mutating.tally import Tally, tally, together

LINES = [
    "    meshbox.core.ranges.x_union__mutmut_1: killed",
    "    meshbox.core.ranges.x_union__mutmut_2: survived",
    "    meshbox.core.ranges.xǁSeqRangesǁbelow__mutmut_1: timeout",
    "    meshbox.core.ranges.xǁSeqRangesǁbelow__mutmut_2: not checked",
    "    meshbox.core.session.pages.x_page__mutmut_1: no tests",
    "    meshbox.core.turns.x_turn__mutmut_1: survived",
]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one commit with two modules, in which the test stands."""
    for name in ("ranges", "session/pages", "session/__init__"):
        path = tmp_path / f"meshbox/core/{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("def one() -> int:\n    return 1\n")
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet", "--initial-branch=main")
    commit("all")
    return tmp_path


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)


def commit(subject: str) -> None:
    git("add", ".")
    git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "-m", subject)


def change(path: Path) -> None:
    path.write_text("def two() -> int:\n    return 2\n")


def test_all_modules_of_core_are_named_by_their_paths(repository: Path) -> None:
    assert all_modules() == ["ranges", "session/pages"]


def test_a_module_without_a_function_has_nothing_to_change(repository: Path) -> None:
    (repository / "meshbox/core/limits.py").write_text("A = 1\n")
    commit("limits")
    assert all_modules() == ["ranges", "session/pages"]
    assert changed_modules(None) == []


def test_nothing_changed_is_nothing_to_try(repository: Path) -> None:
    git("checkout", "--quiet", "-b", "branch")
    (repository / "README.md").write_text("other\n")
    commit("other")
    assert changed_modules("main") == []


def test_what_a_branch_changed_is_tried_committed_or_not(repository: Path) -> None:
    git("checkout", "--quiet", "-b", "branch")
    change(repository / "meshbox/core/ranges.py")
    commit("ranges")
    change(repository / "meshbox/core/session/pages.py")
    assert changed_modules(None) == ["ranges", "session/pages"]


def test_on_main_the_last_commit_is_tried(repository: Path) -> None:
    change(repository / "meshbox/core/ranges.py")
    commit("ranges")
    assert changed_modules(None) == ["ranges"]


def test_a_module_that_is_gone_is_not_tried(repository: Path) -> None:
    (repository / "meshbox/core/ranges.py").unlink()
    commit("no ranges")
    assert changed_modules(None) == []


def test_a_base_that_git_lacks_is_said(repository: Path) -> None:
    with pytest.raises(NoSuchBase, match="nowhere"):
        changed_modules("nowhere")


def test_a_mutant_belongs_to_the_module_that_it_is_named_for() -> None:
    assert module_of("meshbox.core.session.pages.x_page__mutmut_1") == "session/pages"


def test_what_hangs_is_noticed_and_what_no_test_reaches_is_not() -> None:
    tallies = tally(LINES, ["ranges", "session/pages"])
    assert tallies["ranges"].killed == 2
    assert tallies["ranges"].survivors == ["meshbox.core.ranges.x_union__mutmut_2"]
    assert tallies["session/pages"].killed == 0
    assert tallies["session/pages"].tried == 1


def test_what_was_not_tried_is_no_part_of_the_score() -> None:
    ranges = tally(LINES, ["ranges"])["ranges"]
    assert (ranges.all, ranges.tried) == (4, 3)
    assert ranges.share == pytest.approx(2 / 3)


def test_modules_that_were_not_asked_for_are_not_counted() -> None:
    assert together(tally(LINES, ["turns"]).values()).all == 1


def test_several_modules_count_as_one() -> None:
    whole = together(tally(LINES, ["ranges", "turns"]).values())
    assert (whole.killed, whole.tried, len(whole.survivors)) == (2, 4, 2)


def test_nothing_tried_has_no_failing_score() -> None:
    assert Tally().share == 1.0


def test_a_module_is_mutated_alone_and_those_of_a_session_together() -> None:
    assert groups(["session/pages", "turns", "clock", "session/asking"]) == [
        Group("clock", ("clock",)),
        Group("turns", ("turns",)),
        Group("session", ("session/asking", "session/pages")),
    ]
    assert groups([]) == []


def test_a_module_is_tried_by_its_own_tests() -> None:
    clock, turns, session = groups(["clock", "turns", "session/pages"])
    assert clock.tests == ["tests/core/test_clock.py", "tests/core/test_clock_model.py"]
    assert turns.tests == ["tests/core/test_turns.py"]
    assert session.tests == ["tests/core/session", "tests/core/test_session.py"]


def test_mutmut_finds_this_tree_with_the_modules_of_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path.cwd()
    for name in ("meshbox", "scripts", "tests", "pyproject.toml"):
        (tmp_path / name).symlink_to(root / name)
    monkeypatch.chdir(tmp_path)
    (group,) = groups(["turns"])
    group.prepare()
    settings = tomllib.loads((group.folder / "pyproject.toml").read_text())["tool"]["mutmut"]
    assert settings["only_mutate"] == ["meshbox/core/turns.py"]
    assert settings["pytest_add_cli_args_test_selection"] == group.tests
    assert (group.folder / "meshbox/core/turns.py").exists()
