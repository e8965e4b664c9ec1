"""The process around a node: what no test of the running command shows."""

from __future__ import annotations

import asyncio
import sys

import pytest
import structlog
import uvloop
from structlog.testing import capture_logs

from meshbox.node.running import _loop_factory, _reporting


def test_the_fast_event_loop_is_used() -> None:
    factory = _loop_factory()
    assert factory is not None
    loop = factory()
    assert isinstance(loop, uvloop.Loop)
    loop.close()


def test_the_ordinary_one_serves_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert _loop_factory() is None


async def test_a_defect_is_logged_and_the_loop_goes_on() -> None:
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def fail() -> None:
        loop.call_soon(done.set)
        raise KeyError("nobody waits for this")

    with capture_logs() as logged:
        loop.set_exception_handler(_reporting(structlog.get_logger()))
        loop.call_soon(fail)
        await done.wait()
    assert [(entry["event"], entry["log_level"]) for entry in logged] == [("node.defect", "error")]
    assert isinstance(logged[0]["exc_info"], KeyError)
