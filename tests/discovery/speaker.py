"""A process that announces and browses, and prints every event as a line of JSON.

Each line has `at`, the moment on CLOCK_MONOTONIC in seconds, which all processes of a machine
share. The first line is `{"event": "Started"}`. SIGTERM stops it cleanly.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from dataclasses import asdict, fields, is_dataclass
from typing import Any

import uvloop

from meshbox.core.address import Endpoint
from meshbox.core.ids import parse_node_id
from meshbox.discovery.announcement import Announcement
from meshbox.discovery.discovery import Discovery
from meshbox.discovery.events import Event
from meshbox.discovery.names import Service, parse_mesh


def tell(event: str, **rest: Any) -> None:
    print(json.dumps({"event": event, "at": time.monotonic(), **rest}), flush=True)


async def on_event(event: Event) -> None:
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    told = {k: asdict(v) if is_dataclass(v) else v for k, v in values.items()}  # type: ignore[arg-type]
    tell(type(event).__name__, **told)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--id", type=parse_node_id)
    parser.add_argument("--mesh", type=parse_mesh, default="")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--connected", action="store_true")
    arguments = parser.parse_args()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    discovery = Discovery(
        arguments.id,
        on_event=on_event,
        mesh=arguments.mesh,
        browse=frozenset(Service),
        is_connected=lambda _: arguments.connected,
    )
    await discovery.start(
        Announcement(http=Endpoint("::", arguments.port), sync=Endpoint("::", arguments.port + 1))
    )
    tell("Started", addresses=discovery.addresses)
    await stopping.wait()
    await discovery.stop()
    tell("Stopped")


if __name__ == "__main__":
    uvloop.run(main())
