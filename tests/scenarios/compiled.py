"""Small C libraries that tests preload into a node, compiled where they are used."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent / "preload"


def preload(name: str, folder: Path) -> Path:
    """The shared library of `preload/NAME.c`; skips the test where nothing can compile it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler (package gcc)")
    library = folder / f"{name}.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library)]
    subprocess.run([*command, str(SOURCES / f"{name}.c"), "-ldl"], check=True, timeout=60)
    return library
