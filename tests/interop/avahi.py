"""A real avahi-daemon on a machine of the lab, as on most desktops."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.demo_steps.waiting import until
from scripts.lines.lab import Lab

STARTED_S_MAX = 20.0


@contextmanager
def avahi_on(lab: Lab, machine: str, folder: Path, *settings: str) -> Iterator[None]:
    """It runs from the beginning to the end, which is tested; skips where there is none.

    `settings` are further lines of its section `server`.
    """
    avahi = shutil.which("avahi-daemon")
    if avahi is None:
        pytest.skip("needs avahi-daemon")
    lines = ("[server]", "host-name=beside", "enable-dbus=no", "use-ipv6=yes", *settings)
    file = folder / "avahi.conf"
    file.write_text("".join(f"{line}\n" for line in lines))
    # Its process id goes to a fixed place, which is its own here.
    alone = f"mount -t tmpfs none /run/avahi-daemon; exec {avahi} --no-rlimits --no-drop-root"
    alone += f" --no-chroot -f {file}"
    Path("/run/avahi-daemon").mkdir(exist_ok=True)
    said = folder / "avahi.log"
    with said.open("wb") as log:
        daemon = lab.run(machine, ["unshare", "-m", "sh", "-c", alone], stderr=log)
    assert until(lambda: "startup complete" in said.read_text(), seconds=STARTED_S_MAX), said
    yield
    assert daemon.poll() is None, said.read_text()
