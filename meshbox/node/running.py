"""`run_node`: a process that is a node, from the ready line to the signal that ends it.

Knows the process: its umask, event loop, signals and standard output. What a node is made of is in
node.py.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec

from meshbox.mailbox.system_clock import OperatingSystemClock
from meshbox.node.log import Log, configure
from meshbox.node.node import Node
from meshbox.node.settings import Resolved

SWITCH_INTERVAL_S: Final = 0.0005
"""Seconds after which a thread gives up the interpreter: with the default of 5 ms the event loop
waits up to 12 ms for a thread that computes, with this 2 ms."""

COLLECTED_OBJECTS: Final = 20_000
"""Objects that come to stay before Python looks for cycles among them. With its own 700 a request
of 500 blobs has it look a dozen times, for nothing: what requests leave behind has no cycles."""

_PRIVATE: Final = 0o077
_EXIT_OVERRUN: Final = 1


def run_node(resolved: Resolved) -> int:
    """Runs a node until SIGTERM or SIGINT; 0. Raises the `MeshboxError` that ended it otherwise."""
    os.umask(_PRIVATE)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    log = configure(resolved.settings.log_format)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(resolved, log))


async def _run(resolved: Resolved, log: Log) -> int:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_reporting(log))
    stop, hurry = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # The second one ends the draining that the first began.
        loop.add_signal_handler(number, lambda: (hurry if stop.is_set() else stop).set())
    node = Node(resolved, clock=OperatingSystemClock.from_environment(), log=log)
    ready = await node.start(stop)
    if ready is None:
        log.info("node.stopping")
        await node.stop()
        log.info("node.stopped")
        # Threads that are in the midst of connecting to the store cannot be ended. Nothing is open
        # that they could harm.
        sys.stderr.flush()
        os._exit(0)
    # What is there now stays: no collection need look at it again.
    gc.freeze()
    gc.set_threshold(COLLECTED_OBJECTS, *gc.get_threshold()[1:])
    try:
        if not stop.is_set():
            line = msgspec.json.encode(ready).decode()
            print(line, flush=True)  # noqa: T201 - what programs wait for
            log.info("node.ready", **msgspec.structs.asdict(ready))
        await node.wait(stop)
        log.info("node.stopping")
        if resolved.settings.drain:
            await node.drain(hurry)
    finally:
        in_time = await node.stop()
    log.info("node.stopped")
    if not in_time:
        # What hangs would keep the interpreter from ending; what was acknowledged is on disk.
        sys.stderr.flush()
        os._exit(_EXIT_OVERRUN)
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, which serves twice as many requests; asyncio's own where there is none."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _reporting(log: Log) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Faults that no task waits for are defects of ours: told, and the node goes on."""

    def report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        log.error("node.defect", text=context.get("message"), exc_info=context.get("exception"))

    return report
