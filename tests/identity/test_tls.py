"""The TLS contexts over loopback, with Python's own ssl (OpenSSL) on both sides."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from meshbox.core.errors import DataFolderFailed
from meshbox.core.ids import NodeId
from meshbox.identity.certificate import LEAF_NAME, Leaf, leaf, trust_anchor
from meshbox.identity.key import mint
from meshbox.identity.tls import client_context, server_context

A = mint()
M = mint()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        writer.write(await reader.readline())
        await writer.drain()
    writer.close()


@asynccontextmanager
async def serving(shown: Leaf) -> AsyncIterator[int]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context(shown))
    async with server:
        yield server.sockets[0].getsockname()[1]


async def answers_as(node_id: NodeId, port: int, *, name: str = LEAF_NAME) -> bool:
    """Whether what answers on `port` is `node_id`; any failure but a refusal is raised."""
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context(node_id), server_hostname=name
        )
    except ssl.SSLCertVerificationError:
        return False
    writer.write(b"x\n")
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer == b"x\n"


async def test_the_genuine_node_is_believed_and_no_other() -> None:
    async with serving(leaf(A)) as port:
        assert await answers_as(A.node_id, port)
        assert not await answers_as(M.node_id, port)
        assert not await answers_as(A.node_id, port, name="localhost")


async def test_a_fresh_leaf_of_the_same_identity_is_believed() -> None:
    for shown in (leaf(A), leaf(A)):
        async with serving(shown) as port:
            assert await answers_as(A.node_id, port)


async def test_forged_leaves_are_refused() -> None:
    named, mine = leaf(replace(M, node_id=A.node_id)), leaf(M)
    genuine = leaf(A).chain_pem + trust_anchor(A.node_id)
    for shown in (
        named,
        replace(named, chain_pem=named.chain_pem + genuine),
        replace(mine, chain_pem=mine.chain_pem + genuine),
    ):
        async with serving(shown) as port:
            assert not await answers_as(A.node_id, port)


def test_no_authority_of_the_system_is_trusted() -> None:
    trusted = client_context(A.node_id).get_ca_certs()
    assert [ca["subject"] for ca in trusted] == [((("commonName", A.node_id),),)]


def test_no_key_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for _ in range(8):
        server_context(leaf(A))
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_that_is_none_is_the_worlds_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(DataFolderFailed, match="temporary"):
        server_context(leaf(A))
