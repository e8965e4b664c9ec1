"""How logs are written, and that docs/events.md lists exactly the events that the source has."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from meshbox.node.log import configure

ROOT = Path(__file__).parents[2]
EVENT = re.compile(r"[a-z_]+(\.[a-z_]+)+")
LOGGING_NAMES = {"log", "_log", "info", "warning", "error", "debug", "exception"}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def test_json_is_one_object_a_line() -> None:
    stream = io.StringIO()
    log = configure("json", stream)
    log.info("peer.found", peer="ü", count=2)
    log.warning("peer.gone")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["event"], first["peer"], first["count"]) == ("peer.found", "ü", 2)
    assert first["level"] == "info"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", first["timestamp"])
    assert (second["event"], second["level"]) == ("peer.gone", "warning")


def test_text_has_the_event_and_its_fields_and_no_colours() -> None:
    stream = io.StringIO()
    configure("text", stream).info("peer.found", peer="x")
    assert re.search(r"\[info *\] peer.found +peer=x\n$", stream.getvalue())


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_fault_comes_with_its_traceback(log_format: str) -> None:
    stream = io.StringIO()
    log = configure(log_format, stream)
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 // 0
    log.error("node.defect", exc_info=caught.value)
    assert "ZeroDivisionError" in stream.getvalue()
    assert "test_a_fault_comes_with_its_traceback" in stream.getvalue()


def test_libraries_are_heard_from_warnings_up() -> None:
    stream = io.StringIO()
    configure("json", stream)
    logging.getLogger("somebody").info("chatter")
    logging.getLogger("somebody").error("%s broke", "it")
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert (line["event"], line["library"], line["text"], line["level"]) == (
        "library.message",
        "somebody",
        "it broke",
        "error",
    )


def events_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        first = node.args[0] if name != "log" or len(node.args) < 2 else node.args[1]
        if name in LOGGING_NAMES and isinstance(first, ast.Constant):
            yield str(first.value)


def test_the_manual_lists_the_events_of_the_source() -> None:
    sources = (ROOT / "meshbox").rglob("*.py")
    logged = {event for path in sources for event in events_in(path) if EVENT.fullmatch(event)}
    manual = (ROOT / "docs/events.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z_.]+)` \|", manual, re.MULTILINE)
    assert sorted(listed) == sorted(logged)
    assert "peer.connected" in listed
    assert "node.ready" in listed
