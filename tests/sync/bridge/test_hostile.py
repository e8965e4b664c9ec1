"""Servers that answer as no mailbox server does: a clear state, and nothing lost."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from meshbox.client import mailbox_server
from meshbox.core.internet import InternetState
from tests.contract.harness import MemoryHarness
from tests.identity.authority import Authority
from tests.sync.bridge import quirky_server
from tests.sync.bridge.bridging import becomes, bridged, contents, deposit, equal, ours, rounds
from tests.sync.bridge.quirky_server import Mood, QuirkyServer
from tests.sync.nodes import LOOPBACK
from tests.waiting import a_while, eventually

LOGS = {("t", "a"): contents("a", 0), ("t", "b"): contents("b", 0)}

MOODS: dict[str, tuple[Mood, str]] = {
    "html": (quirky_server.html, "server.garbled"),
    "garbage": (quirky_server.garbage, "server.garbled"),
    "redirect to itself": (quirky_server.redirect, "server.unspoken"),
    "gigabyte": (quirky_server.gigabyte, "answer.too_large"),
    "announced gigabyte": (quirky_server.announced_gigabyte, "answer.too_large"),
    "byte by byte": (quirky_server.byte_by_byte, "server.slow"),
    "always 500": (quirky_server.failing, "server.refused"),
    "no such page": (quirky_server.absent, "server.unspoken"),
    "packed": (quirky_server.packed, "server.garbled"),
}


@pytest.mark.parametrize("name", MOODS)
async def test_it_is_told_waited_for_and_gone_on_with(
    harness: MemoryHarness, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(mailbox_server, "SERVER_ANSWER_BYTES_MAX", 4 << 20)
    mood, reason = MOODS[name]
    patience_ms = 300 if reason == "server.slow" else 30_000
    monkeypatch.setattr(mailbox_server, "SERVER_MS_MIN", patience_ms)
    store = await harness.open()
    await deposit(store, "t", "a", 0)
    with QuirkyServer() as server:
        server.put("t", "b", contents("b", 0))
        server.mood = mood
        async with bridged(store, server.url) as bridge:
            await eventually(lambda: bridge.mailbox().reason == reason)
            told = bridge.mailbox()
            assert told.state is not InternetState.CONNECTED
            assert told.detail
            assert await ours(store, *LOGS) == {("t", "a"): contents("a", 0), ("t", "b"): {}}
            server.mood = None
            monkeypatch.setattr(mailbox_server, "SERVER_MS_MIN", 30_000)
            bridge.network_changed()
            await equal(store, server, LOGS)
            await eventually(lambda: bridge.mailbox().reason is None)


@pytest.mark.parametrize("name", MOODS)
async def test_it_may_begin_in_the_middle(
    harness: MemoryHarness, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(mailbox_server, "SERVER_ANSWER_BYTES_MAX", 4 << 20)
    store = await harness.open()
    await deposit(store, "t", "a", 0)
    with QuirkyServer() as server:
        async with bridged(store, server.url) as bridge:
            await rounds(server, 2)
            server.mood, reason = MOODS[name]
            patience_ms = 300 if reason == "server.slow" else 30_000
            monkeypatch.setattr(mailbox_server, "SERVER_MS_MIN", patience_ms)
            server.put("t", "b", contents("b", 0))
            if reason != "answer.too_large":  # Then the topic alone is left alone.
                await eventually(lambda: bridge.mailbox().reason == reason)
                server.mood = None
                monkeypatch.setattr(mailbox_server, "SERVER_MS_MIN", 30_000)
                bridge.network_changed()
                await equal(store, server, LOGS)


async def test_it_may_ask_us_to_stay_away(harness: MemoryHarness) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", 0)
    with QuirkyServer() as server:
        server.mood = quirky_server.busy
        async with bridged(store, server.url) as bridge:
            await eventually(lambda: bridge.mailbox().reason == "server.refused")
            asked = sum(server.asked.values())
            bridge.network_changed()
            await a_while(0.3)
            assert sum(server.asked.values()) == asked


async def test_what_it_says_of_other_topics_is_not_kept(harness: MemoryHarness) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", *range(4))
    with QuirkyServer() as server:
        server.mood = quirky_server.saying(
            {
                "t": {"blobs": {"a": {"0": "AA==", "4": "AQ=="}}, "missing": {"x": [1]}},
                "other": {"blobs": {"a": {"0": "AA=="}}, "missing": {}},
            }
        )
        async with bridged(store, server.url):
            expected = {("t", "a"): contents("a", *range(4)) | {4: b"\1"}, ("other", "a"): {}}
            await becomes(lambda: ours(store, *expected), expected)


@pytest.mark.parametrize(
    "topic",
    [
        {"blobs": {"a": {"-1": "AA=="}}, "missing": {}},
        {"blobs": {"a": {"18446744073709551616": "AA=="}}, "missing": {}},
        {"blobs": {"a": {"0": "A"}}, "missing": {}},
        {"blobs": {}, "missing": {"a": [-1]}},
        {"blobs": {}},
        {"blobs": [], "missing": {}},
    ],
    ids=str,
)
async def test_what_is_no_answer(harness: MemoryHarness, topic: dict[str, Any]) -> None:
    store = await harness.open()
    await deposit(store, "t", "z", 0)
    if topic.get("missing"):
        await deposit(store, "t", "a", 3)
    with QuirkyServer() as server:
        server.mood = quirky_server.saying({"t": topic})
        async with bridged(store, server.url) as bridge:
            await eventually(lambda: bridge.mailbox().reason == "server.garbled")


async def test_nobody_is_there_and_then_somebody_is(harness: MemoryHarness) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", 0)
    with QuirkyServer() as server:
        url = server.url
    async with bridged(store, url) as bridge:
        await eventually(lambda: bridge.mailbox().reason == "peer.unreachable")
    with QuirkyServer() as server:
        server.put("t", "b", contents("b", 0))
        async with bridged(store, server.url):
            await equal(store, server, LOGS)


async def test_who_does_not_speak_http(harness: MemoryHarness) -> None:
    store = await harness.open()

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, LOOPBACK, 0) as smtp:
        port = smtp.sockets[0].getsockname()[1]
        async with bridged(store, f"http://{LOOPBACK}:{port}") as bridge:
            await eventually(
                lambda: bridge.mailbox().reason in ("server.garbled", "peer.unreachable")
            )
            assert bridge.mailbox().reason == "server.garbled"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Whom this machine trusts."""
    made = Authority()
    trusted = tmp_path / "trusted.pem"
    trusted.write_text(made.pem, encoding="utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    return made


def tls(authority: Authority, folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(folder, name))
    return context


async def test_a_server_that_proves_its_name(
    harness: MemoryHarness, authority: Authority, tmp_path: Path
) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", 0)
    with QuirkyServer(tls=tls(authority, tmp_path, "localhost")) as server:
        server.put("t", "b", contents("b", 0))
        async with bridged(store, server.url) as bridge:
            assert server.url.startswith("https://localhost:")
            await equal(store, server, LOGS)
            assert bridge.mailbox().bytes_in > 0


@pytest.mark.parametrize("wrong", ["name", "authority"])
async def test_a_certificate_that_does_not_fit(
    harness: MemoryHarness, authority: Authority, tmp_path: Path, wrong: str
) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", 0)
    issuer = Authority() if wrong == "authority" else authority
    name = "another.example" if wrong == "name" else "localhost"
    with QuirkyServer(tls=tls(issuer, tmp_path, name)) as server:
        async with bridged(store, server.url) as bridge:
            await eventually(lambda: bridge.mailbox().reason == "certificate.wrong")
        assert sum(server.asked.values()) == 0
