"""The ports that the node is to listen on: free, its own, or somebody else's."""

from __future__ import annotations

from meshbox.core.address import Endpoint
from meshbox.core.errors import ListenFailed
from meshbox.node.checkup.check import Check, State
from meshbox.node.checkup.holders import Holder, holders
from meshbox.node.listeners import listen


def check_port(name: str, endpoint: Endpoint | None, *, own_pid: int | None) -> Check:
    """Whether `endpoint` can be bound, by trying. `own_pid`: the node that runs on our folder."""
    check = f"port.{name}"
    if endpoint is None:
        return Check(check, State.OK, "off")
    try:
        listen(name, endpoint).close()
    except ListenFailed as error:
        found = holders("tcp", endpoint.port)
        if own_pid is not None and own_pid in (holder.pid for holder in found):
            return Check(check, State.OK, f"{endpoint}: the node that runs here has it")
        return Check(check, State.FAIL, _told(error, found), error.hint)
    return Check(check, State.OK, f"{endpoint}: free")


def _told(error: ListenFailed, found: list[Holder]) -> str:
    by = f", held by {', '.join(map(str, found))}" if found else ""
    return f"{error.message}{by}"
