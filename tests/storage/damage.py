"""What a bad disk does to a database's files."""

from __future__ import annotations

from pathlib import Path


def tables(folder: Path) -> list[Path]:
    """The table files."""
    return sorted(folder.glob("*.sst"))


def biggest(folder: Path) -> Path:
    """The largest table file."""
    return max(tables(folder), key=lambda path: path.stat().st_size)


def flip(path: Path, *, at: float) -> None:
    """Flips a bit, at a part of the file's length."""
    place = int(path.stat().st_size * at)
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1]))
