"""A client that behaves, in a process of its own, and how long it waits: others must not feel it.

    python -m scripts.tortures.canary HOST PORT       # until its standard input ends; then JSON

Asks for health and for a message in turn, on one connection, every `INTERVAL_S`.
"""

from __future__ import annotations

import http.client
import json
import select
import sys
import time
from typing import Final

INTERVAL_S: Final = 0.02
_ANSWER_S_MAX: Final = 30.0
_READ: Final = json.dumps({"topics": {"0" * 64: {}}})


def main() -> None:
    """Prints {requests, failures, p50_ms, p99_ms, max_ms}."""
    host, port = sys.argv[1:]
    connection = http.client.HTTPConnection(host, int(port), timeout=_ANSWER_S_MAX)
    waits_ms: list[float] = []
    failures: list[str] = []
    while not select.select([sys.stdin], [], [], INTERVAL_S)[0]:
        begun = time.perf_counter()
        try:
            failures += _ask(connection, read=len(waits_ms) % 2 == 1)
        except (OSError, http.client.HTTPException) as error:
            failures.append(repr(error))
            connection.close()
        waits_ms.append((time.perf_counter() - begun) * 1000)
    waits_ms.sort()
    figures = {
        "requests": len(waits_ms),
        "failures": failures[:10],
        "p50_ms": _at(waits_ms, 0.5),
        "p99_ms": _at(waits_ms, 0.99),
        "max_ms": _at(waits_ms, 1.0),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


def _ask(connection: http.client.HTTPConnection, *, read: bool) -> list[str]:
    if read:
        connection.request("POST", "/blips/get", _READ, {"content-type": "application/json"})
    else:
        connection.request("GET", "/health")
    answer = connection.getresponse()
    answer.read()
    return [] if answer.status == 200 else [f"{answer.status} {answer.reason}"]


def _at(ascending: list[float], part: float) -> float:
    if not ascending:
        return 0.0
    return round(ascending[min(len(ascending) - 1, int(len(ascending) * part))], 2)


if __name__ == "__main__":
    main()
