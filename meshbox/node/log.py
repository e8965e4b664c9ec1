"""Logs: one event a line on standard error, for people (`text`) or programs (`json`).

An event is a name such as `peer.connected` and its fields; docs/events.md lists the names, and a
test compares it with the source. What libraries say through the standard `logging` comes out the
same way, from warnings up, as `library.message`. Times are the machine's wall clock.

Nothing of the content of messages, and no secret, is ever logged.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

# structlog loads rich, for tracebacks that are not used here: 4.5 MB of memory and 40 ms.
_rich = sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
import structlog  # noqa: E402

if _rich is None:
    del sys.modules["rich"]

Log = structlog.typing.FilteringBoundLogger


def configure(log_format: str, stream: TextIO = sys.stderr) -> Log:
    """Begins logging to `stream` in `log_format` (text or json); once a process."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_rendering(log_format, stream),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    log: Log = structlog.get_logger()
    logging.basicConfig(level=logging.WARNING, handlers=[_LibraryHandler(log)], force=True)
    return log


def _rendering(log_format: str, stream: TextIO) -> list[structlog.typing.Processor]:
    if log_format == "json":
        return [
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
        ]
    return [
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(),
            pad_event_to=0,
            exception_formatter=structlog.dev.plain_traceback,
        )
    ]


class _LibraryHandler(logging.Handler):
    """Hands what libraries log to our log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: MutableMapping[str, Any] = {"library": record.name, "text": record.getMessage()}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        self._log.log(record.levelno, "library.message", **fields)
