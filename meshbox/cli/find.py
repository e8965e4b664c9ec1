"""`meshbox find`: the mailboxes and nodes that are seen on the LAN, live."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from meshbox.cli.output import columns, print_json, print_lines

if TYPE_CHECKING:
    import asyncio

    from meshbox.core.errors import DiscoveryFailed
    from meshbox.discovery.lookout import Change, Lookout, Sighted

FIND_SCHEMA: Final = "meshbox.find/1"

REDRAW_S: Final = 1.0
_CLEAR: Final = "\x1b[H\x1b[J"


def find(
    *,
    seconds: Annotated[
        float, typer.Option(metavar="N", min=0, help="Ends by itself; 0: on Ctrl-C.")
    ] = 0,
    mesh: Annotated[str, typer.Option(metavar="NAME", help="The mesh to look in.")] = "",
    interface: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|ADDRESS", help="Where to look; repeatable, by default as run."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document an event.")] = False,
) -> None:
    """Mailboxes and nodes seen on the local network, live.

    Both dialects of the apps and the nodes; each is dialled, to see whether its key is proven.
    """
    import asyncio

    from meshbox.discovery.interfaces import parse_interface
    from meshbox.discovery.names import parse_mesh

    where = {
        "mesh": parse_mesh(mesh),
        "interfaces": [parse_interface(text) for text in interface or ()],
    }
    asyncio.run(_watch(where, seconds=seconds or None, is_listing=not json))


async def _watch(where: dict[str, Any], *, seconds: float | None, is_listing: bool) -> None:
    import asyncio
    import signal

    from meshbox.discovery.lookout import Lookout

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def on_change(change: Change, sighted: Sighted) -> None:
        if not is_listing and not stop.is_set():
            _show(lambda: _print_event(change, sighted), stop)

    lookout = Lookout(on_change=on_change, on_trouble=_warn, **where)
    await lookout.start()
    try:
        drawing = (
            asyncio.ensure_future(_redraw(lookout, stop)) if is_listing and _is_live() else None
        )
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            pass
        if drawing is not None:
            drawing.cancel()
        elif is_listing:
            _show(lambda: print_lines(_lines(lookout)), stop)
    finally:
        await lookout.stop()


async def _redraw(lookout: Lookout, stop: asyncio.Event) -> None:
    import asyncio

    while not stop.is_set():
        _show(lambda: print_lines([_CLEAR + "\n".join(_lines(lookout))]), stop)
        await asyncio.sleep(REDRAW_S)


def _show(what: Callable[[], None], stop: asyncio.Event) -> None:
    """Shows, and sets `stop` when nobody reads any more, as behind `| head`."""
    try:
        what()
    except BrokenPipeError:
        # Else the interpreter flushes what is left, and complains, when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        stop.set()


def _is_live() -> bool:
    """On a terminal the list is drawn again and again, elsewhere once, at the end."""
    return sys.stdout.isatty()


def _lines(lookout: Lookout) -> list[str]:
    rows = [_row(sighted, age_s) for sighted, age_s in lookout.listed()]
    if not rows:
        return ["nothing found"]
    return columns([("DIALECT", "ID", "KEY", "RTT", "HEARD", "ADDRESSES"), *rows])


def _row(sighted: Sighted, age_s: float) -> tuple[str, ...]:
    return (
        sighted.dialect,
        sighted.id,
        "proven" if sighted.is_proven else "not proven",
        f"{sighted.rtt_ms:.1f} ms" if sighted.rtt_ms is not None else "no answer",
        f"{max(0, age_s):.0f} s ago",
        " ".join(map(str, sighted.endpoints)),
    )


def _print_event(change: Change, sighted: Sighted) -> None:
    document: dict[str, Any] = {
        "schema": FIND_SCHEMA,
        "event": change.value,
        "dialect": sighted.dialect,
        "id": sighted.id,
        "addresses": [str(endpoint) for endpoint in sighted.endpoints],
        "proven": sighted.is_proven,
        "rtt_ms": None if sighted.rtt_ms is None else round(sighted.rtt_ms, 3),
    }
    print_json(document)


def _warn(error: DiscoveryFailed) -> None:
    print(f"meshbox: warning[{error.code}]: {error.message}", file=sys.stderr, flush=True)  # noqa: T201
