"""Runs a command to its end, within a time, and ends it when the demo is interrupted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_END_S_MAX = 5.0


class Finished(NamedTuple):
    """What a command said. `status` is None when it took too long and was ended."""

    status: int | None
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The last lines of what it said, for a message."""
        lines = [line for line in (self.err or self.out).splitlines() if line.strip()]
        return " / ".join(lines[-3:]) or "no reason given"


def run(
    command: Sequence[str], *, folder: Path, seconds: float, variables: Mapping[str, str]
) -> Finished:
    """The command's outcome. `OSError` when there is no such command."""
    # In a session of its own: Ctrl-C is for the demo, which then ends this by itself.
    process = subprocess.Popen(  # noqa: S603 - our own commands
        command,
        cwd=folder,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=seconds)
        return Finished(process.returncode, out, err)
    except subprocess.TimeoutExpired:
        return Finished(None, "", f"no end after {seconds:.0f} s")
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
