"""What people read: aligned columns, sizes and times in words."""

from __future__ import annotations

import json

import pytest

from meshbox.cli.output import ago, columns, print_json, print_lines, size


def test_columns_begin_at_the_same_place() -> None:
    assert columns([("a", "long", "x"), ("bbb", "c", "")]) == ["a    long  x", "bbb  c"]
    assert columns([]) == []


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (10**9, "1.0 GB"), (10**16, "10000.0 TB")],
)
def test_sizes(size_bytes: int, shown: str) -> None:
    assert size(size_bytes) == shown


@pytest.mark.parametrize(
    ("passed_ms", "shown"),
    [(-5, "0 s ago"), (59_999, "59 s ago"), (60_000, "1 min ago"), (90_000_000, "1 d ago")],
)
def test_times(passed_ms: int, shown: str) -> None:
    assert ago(10**12, 10**12 + passed_ms) == shown


def test_a_moment_that_never_was() -> None:
    assert ago(None, 0) == "never"


def test_results_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"schema": "x/1", "name": "ü"})
    print_lines(["one", "two"])
    first, *rest = capsys.readouterr().out.splitlines()
    assert json.loads(first) == {"schema": "x/1", "name": "ü"}
    assert rest == ["one", "two"]
