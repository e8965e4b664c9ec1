"""preload/journal.c: compiled where it is used, and what makes it watch a process."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from scripts.tortures.faults import TortureFailed

_SOURCE: Final = Path(__file__).parent / "preload/journal.c"


def compile_journal(library: Path) -> None:
    """Makes the shared library. `TortureFailed` where nothing can compile it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise TortureFailed("needs a C compiler (package gcc)")
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]
    done = subprocess.run(  # noqa: S603 - our own source
        [*command, str(library), str(_SOURCE)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise TortureFailed(f"cannot compile {_SOURCE.name}: {done.stderr}")


def watched(
    library: Path, *, root: Path, journal: Path, sync_us: int = 0, unsynced: str | None = None
) -> dict[str, str]:
    """The variables by which a process writes down what it does below `root`.

    `unsynced`: syncs of files whose path ends so do nothing.
    """
    return {
        "LD_PRELOAD": str(library),
        "TORTURE_JOURNAL": str(journal),
        "TORTURE_JOURNAL_ROOT": str(root.resolve()),
        "TORTURE_JOURNAL_SYNC_US": str(sync_us),
        **({} if unsynced is None else {"TORTURE_JOURNAL_UNSYNCED": unsynced}),
    }
