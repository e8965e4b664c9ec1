"""A node as a process of a campaign: started, asked, killed by its own process id."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp

from meshbox.admin.control_socket import address_of
from scripts.tortures.faults import TortureFailed

READY_S_MAX: Final = 60.0
_ASK_S_MAX: Final = 60.0
_LOG_END: Final = 3_000


class Node:
    """A `meshbox run` on `folder`, on loopback and without mDNS. Made by `start`."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, log: Path) -> None:
        self._process = process
        self._folder = folder
        self._log = log
        self.ready: dict[str, Any] = {}

    @classmethod
    async def start(
        cls, folder: Path, *options: str, log: Path, environment: Mapping[str, str] | None = None
    ) -> Node:
        """Starts it; `await_ready` says when it is there. `folder`: its data folder."""
        command = [
            *(sys.executable, "-m", "meshbox", "run", "--data-dir", str(folder)),
            *("--http", "127.0.0.1:0", "--https", "off", "--admin", "off", "--no-mdns"),
        ]
        kept = {name: text for name, text in os.environ.items() if not name.startswith("MESHBOX_")}
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *command,
                *options,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=kept | dict(environment or {}),
                # Ctrl-C is for this process, which ends the nodes in its own time.
                start_new_session=True,
            )
        return cls(process, folder, log)

    @property
    def url(self) -> str:
        """Base URL for apps."""
        return f"http://{self.ready['http']}"

    @property
    def node_id(self) -> str:
        """Its key."""
        return str(self.ready["node_id"])

    @property
    def peer_address(self) -> str:
        """What another node is given as `--peer`."""
        return f"meshbox://{self.node_id}@{self.ready['sync']}"

    async def await_ready(self) -> bool:
        """Whether it became ready; False when it ended by itself."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(READY_S_MAX):
                line = await self._process.stdout.readline()
        except TimeoutError as error:
            raise TortureFailed(f"not ready in {READY_S_MAX:.0f} s: {self.log_end()}") from error
        if line:
            self.ready = json.loads(line)
        return bool(line)

    def log_end(self) -> str:
        """The end of what it wrote to standard error, in this run and before."""
        return self._log.read_text(errors="replace")[-_LOG_END:]

    async def control(self, method: str, path: str) -> Any:
        """Asks on its control socket; `aiohttp.ClientError` or `OSError` when it is gone."""
        timeout = aiohttp.ClientTimeout(total=_ASK_S_MAX)
        with address_of(self._folder / "control.sock") as address:
            connector = aiohttp.UnixConnector(address)
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.request(method, f"http://localhost{path}") as answer,
            ):
                return await answer.json()

    def freeze(self) -> None:
        """It does nothing until `thaw`."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """SIGKILL; nothing when it is gone already."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()

    async def stop(self) -> int:
        """SIGTERM; its exit status."""
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(READY_S_MAX):
                await self._process.communicate()
        except TimeoutError as error:
            await self.kill()
            raise TortureFailed(f"does not stop: {self.log_end()}") from error
        assert self._process.returncode is not None
        return self._process.returncode
