"""What the demo tells: lines for people as they come, or one JSON document at the end.

The document: schema, ok, by (how the nodes ran), ms, steps[]{name, ok, ms, said[], measured{}} and
failure{step, reason, node, log[]} or null. Times are milliseconds.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TextIO

from scripts.demo_steps.faults import DemoFailed, Interrupted
from scripts.demo_steps.waiting import Stopwatch

SCHEMA = "meshbox.demo/1"

_GREEN, _RED, _DIM, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[0m"
_TIME = 8
_INDENT = _TIME + 4
_WIDTH = 100


@dataclass
class Step:
    """One thing to be seen."""

    name: str
    ok: bool = False
    ms: float = 0.0
    said: list[str] = field(default_factory=list)
    measured: dict[str, float] = field(default_factory=dict)


@dataclass
class Failure:
    """What ended the demo: the step, a sentence, and the end of the log of the node it names."""

    step: str
    reason: str
    node: str | None
    log: list[str] = field(default_factory=list)


class Report:
    """Gathers the steps, and tells them as they come unless `as_json`."""

    def __init__(self, *, by: str, as_json: bool) -> None:
        self.failure: Failure | None = None
        self.by = by
        self._as_json = as_json
        self._steps: list[Step] = []
        self._watch = Stopwatch()

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """The block is the step; what it raises fails it."""
        step = Step(name)
        self._steps.append(step)
        watch = Stopwatch()
        try:
            yield step
            step.ok = True
        finally:
            step.ms = watch.ms

    def seen(self, text: str) -> None:
        """Tells what was seen in the present step."""
        self._steps[-1].said.append(text)
        time = f"{self._watch.ms / 1000:.2f} s".rjust(_TIME)
        self._print(f"{_tint(_DIM, time)}  {_tint(_GREEN, '✓')} ", text)

    def note(self, text: str) -> None:
        """Tells what helps to understand; the document does without it."""
        self._print(" " * _INDENT, text)

    def failed(self, error: DemoFailed | Interrupted) -> None:
        """Notes what ended the demo."""
        step = self._steps[-1].name if self._steps else "start"
        node = error.node if isinstance(error, DemoFailed) else None
        self.failure = Failure(step, str(error), node)

    def finish(self) -> None:
        """Tells how it ended; to be called once, when everything was cleaned up."""
        if self._as_json:
            document = {
                "schema": SCHEMA,
                "ok": self.failure is None,
                "by": self.by,
                "ms": self._watch.ms,
                "steps": [asdict(step) for step in self._steps],
                "failure": asdict(self.failure) if self.failure else None,
            }
            sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        if self.failure is not None:
            self._tell(self.failure)

    def _print(self, before: str, text: str) -> None:
        if not self._as_json:
            # Paths and addresses stay whole, to be copied; an indented line is one by itself.
            lines = textwrap.wrap(
                text, _WIDTH - _INDENT, break_long_words=False, break_on_hyphens=False
            )
            shown = ("\n" + " " * _INDENT).join(lines) if text == text.lstrip() else text
            sys.stdout.write(f"{before}{shown}\n")
            sys.stdout.flush()

    def _tell(self, failure: Failure) -> None:
        where = _tint(_RED, f"failed at step {failure.step!r}", sys.stderr)
        lines = [f"demo: {where}: {failure.reason}"]
        if failure.log:
            lines.append(f"The last lines of {failure.node}'s log:")
            lines += [f"  {line}" for line in failure.log]
        sys.stderr.write("\n".join(lines) + "\n")


def spoken(ms: float) -> str:
    """A duration for people: 14 ms, 1.3 s."""
    return f"{ms:.0f} ms" if ms < 1_000 else f"{ms / 1_000:.1f} s"


def listed(names: Sequence[str]) -> str:
    """north, east and south."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def _tint(colour: str, text: str, stream: TextIO | None = None) -> str:
    """`text` in `colour` where a person looks at a terminal."""
    is_terminal = (stream or sys.stdout).isatty() and not os.environ.get("NO_COLOR")
    return f"{colour}{text}{_PLAIN}" if is_terminal else text
