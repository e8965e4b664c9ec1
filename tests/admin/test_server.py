"""What is served where: everything on the control socket, what only reads on loopback TCP."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from meshbox.admin import control_socket
from meshbox.admin.server import AdminServer
from meshbox.admin.sources import Sources, Unopened
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.memory import MemoryKeyValue
from tests.admin.parts import Report, sources, unopened
from tests.clocks import ManualClock
from tests.contract.material import DAY_MS, blob, put
from tests.mailbox.stores import opened_store


@asynccontextmanager
async def serving(
    told: EmbeddedStore | Sources | Unopened, folder: Path
) -> AsyncIterator[tuple[aiohttp.ClientSession, aiohttp.ClientSession]]:
    """Sessions with the control socket and with the TCP listener."""
    if isinstance(told, EmbeddedStore):
        told = sources(told, peers=[Report()])
    server = AdminServer(told)
    tcp = socket.create_server(("127.0.0.1", 0))
    await server.start_status([tcp])
    path = folder / "control.sock"
    await server.start_control(control_socket.listen(path))
    base = f"http://127.0.0.1:{tcp.getsockname()[1]}"
    unix = aiohttp.UnixConnector(str(path))
    try:
        async with (
            aiohttp.ClientSession("http://localhost", connector=unix) as control,
            aiohttp.ClientSession(base) as admin,
        ):
            yield control, admin
    finally:
        await server.stop()


async def get(session: aiohttp.ClientSession, path: str, **headers: str) -> tuple[int, Any]:
    async with session.get(path, headers=headers) as response:
        return response.status, await response.json()


async def test_both_tell_the_same(store: EmbeddedStore, tmp_path: Path) -> None:
    await put(store, blob(store, 0), blob(store, 2))
    async with serving(store, tmp_path) as sessions:
        for session in sessions:
            code, status = await get(session, "/api/status")
            assert (code, status["storage"]["messages"]) == (200, 2)
            assert (await get(session, "/api/peers"))[1]["peers"][0]["lag"] == 1
            code, inventory = await get(session, "/api/inventory")
            assert (code, inventory["blobs"], len(inventory["digest"])) == (200, 2, 64)
            code, topic = await get(session, "/api/inventory?topic=topic")
            assert topic["logs"][0]["told"] == [[1, 1]]


async def test_live_ready_and_numbers_on_both(store: EmbeddedStore, tmp_path: Path) -> None:
    async with serving(store, tmp_path) as sessions:
        for session in sessions:
            async with session.get("/livez") as response:
                assert (response.status, await response.text()) == (200, "ok\n")
            code, document = await get(session, "/readyz")
            assert (code, document["ready"], document["reasons"]) == (200, True, [])
            async with session.get("/metrics") as response:
                assert response.status == 200
                assert response.headers["content-type"].startswith("text/plain; version=")
                assert "\nmeshbox_blobs 0.0\n" in await response.text()


async def test_only_the_control_socket_sweeps(
    store: EmbeddedStore, clock: ManualClock, tmp_path: Path
) -> None:
    await put(store, blob(store, 0, b"four"))
    clock.advance(8 * DAY_MS)
    async with serving(store, tmp_path) as (control, admin):
        async with admin.post("/api/sweep") as response:
            assert response.status == 404
            assert (await response.json())["error"] == "admin.request"
        async with control.post("/api/sweep") as response:
            swept = await response.json()
    assert swept == {"schema": "meshbox.sweep/1", "blobs": 1, "bytes": 4, "forgotten_logs": 0}


async def test_faults_are_json(store: EmbeddedStore, tmp_path: Path) -> None:
    async with serving(store, tmp_path) as (control, admin):
        code, fault = await get(control, "/api/inventory?topic=a:b")
        assert (code, fault["error"]) == (422, "id.invalid")
        assert (await get(admin, "/api/none"))[0] == 404
        async with admin.post("/api/status") as response:
            assert response.status == 405


async def test_a_failed_store_is_told(tmp_path: Path) -> None:
    key_value = MemoryKeyValue()
    async with opened_store(key_value) as store, serving(store, tmp_path) as (control, _):
        key_value.fail_syncs(OSError("the disk is gone"))
        with pytest.raises(Exception, match="disk"):
            await put(store, blob(store, 0))
        code, fault = await get(control, "/api/status")
        assert (code, fault["error"]) == (503, "store.failed")
        code, document = await get(control, "/readyz")
        assert (code, document["reasons"][0]["code"]) == (503, "store.failed")
        assert (await get(control, "/metrics"))[0] == 503
        async with control.get("/livez") as response:
            assert response.status == 200


async def test_a_store_that_is_not_open_yet_is_told(tmp_path: Path) -> None:
    async with serving(unopened(), tmp_path) as (control, admin):
        for session in (control, admin):
            async with session.get("/livez") as response:
                assert response.status == 200
            code, document = await get(session, "/readyz")
            assert (code, document["reasons"][0]["code"]) == (503, "store.unprepared")
            code, document = await get(session, "/api/status")
            assert (code, document["store"]["state"]) == (200, "opening")
            for path in ("/api/peers", "/api/inventory"):
                code, fault = await get(session, path)
                assert (code, fault["error"]) == (503, "store.unprepared")
            async with session.get("/metrics") as response:
                assert "\nmeshbox_ready 0.0\n" in await response.text()
        async with control.post("/api/sweep") as response:
            assert response.status == 503


@pytest.mark.parametrize("host", ["localhost:3002", "127.0.0.1", "[::1]:1", "localhost"])
async def test_names_of_this_machine(store: EmbeddedStore, tmp_path: Path, host: str) -> None:
    async with serving(store, tmp_path) as (_, admin):
        assert (await get(admin, "/api/status", host=host))[0] == 200


@pytest.mark.parametrize("host", ["evil.example:3002", "10.0.0.1", "[fe80::1]:1", "a b", "127.1"])
async def test_a_page_that_rebinds_dns_gets_nothing(
    store: EmbeddedStore, tmp_path: Path, host: str
) -> None:
    async with serving(store, tmp_path) as (_, admin):
        code, fault = await get(admin, "/api/status", host=host)
    assert (code, fault["error"]) == (403, "admin.host")


async def test_no_other_site_may_read(store: EmbeddedStore, tmp_path: Path) -> None:
    origin = {"origin": "http://evil.example"}
    async with (
        serving(store, tmp_path) as (_, admin),
        admin.get("/api/status", headers=origin) as response,
    ):
        assert not [name for name in response.headers if name.lower().startswith("access-")]
