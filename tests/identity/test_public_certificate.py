"""A certificate for a public name, beside the one that proves the node id, on one port."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from meshbox.core.errors import InvalidSetting
from meshbox.identity.certificate import LEAF_NAME, leaf
from meshbox.identity.key import mint
from meshbox.identity.public_certificate import PublicCertificate
from meshbox.identity.tls import client_context, server_context
from tests.identity.authority import Authority

A = mint()
CA = Authority()
NAMES = ("mailbox.example.org", "*.camp.example")


class Told:
    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))


@asynccontextmanager
async def serving(public: PublicCertificate) -> AsyncIterator[int]:
    def goodbye(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    context = server_context(leaf(A), public)
    server = await asyncio.start_server(goodbye, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def shown_to(port: int, name: str, *, trusting: ssl.SSLContext) -> str | None:
    """The name that the certificate is for; None when the client refuses it."""
    try:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trusting, server_hostname=name
        )
    except ssl.SSLCertVerificationError:
        return None
    certificate = writer.get_extra_info("peercert")
    writer.close()
    return str(certificate["subjectAltName"][0][1])


def browser(authority: Authority = CA) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.pem)


async def test_each_client_sees_what_it_asks_for(tmp_path: Path) -> None:
    public = PublicCertificate(*CA.issue(tmp_path, *NAMES), log=Told())
    async with serving(public) as port:
        for name in ("mailbox.example.org", "Mailbox.Example.ORG", "a.camp.example"):
            assert await shown_to(port, name, trusting=browser()) == NAMES[0]
        for name in ("example.org", "a.b.camp.example", "camp.example", "127.0.0.1"):
            assert await shown_to(port, name, trusting=browser()) is None
        pinned = client_context(A.node_id)
        assert await shown_to(port, LEAF_NAME, trusting=pinned) == LEAF_NAME
        assert await shown_to(port, NAMES[0], trusting=pinned) is None


async def test_a_renewed_certificate_is_shown_from_the_next_handshake_on(tmp_path: Path) -> None:
    told = Told()
    public = PublicCertificate(*CA.issue(tmp_path, *NAMES), log=told)
    other = Authority()
    async with serving(public) as port:
        assert await shown_to(port, NAMES[0], trusting=browser(other)) is None
        other.issue(tmp_path, NAMES[0], "new.example")
        for name in (NAMES[0], "new.example"):
            assert await shown_to(port, name, trusting=browser(other)) == NAMES[0]
        assert await shown_to(port, "a.camp.example", trusting=browser(other)) is None
    assert [(event, fields["names"]) for event, fields in told.events] == [
        ("certificate.loaded", sorted(NAMES)),
        ("certificate.loaded", sorted([NAMES[0], "new.example"])),
    ]


async def test_while_the_files_do_not_fit_the_former_one_is_shown(tmp_path: Path) -> None:
    told = Told()
    chain, key = CA.issue(tmp_path, *NAMES)
    public = PublicCertificate(chain, key, log=told)
    good = key.read_bytes()
    async with serving(public) as port:
        for damage in (b"", b"no key", None):
            key.unlink() if damage is None else key.write_bytes(damage)
            for _ in range(2):
                assert await shown_to(port, NAMES[0], trusting=browser()) == NAMES[0]
        key.write_bytes(good)
        assert await shown_to(port, NAMES[0], trusting=browser()) == NAMES[0]
    events = [event for event, _ in told.events]
    assert events[0] == events[-1] == "certificate.loaded"
    assert set(events[1:-1]) == {"certificate.failed"}


@pytest.mark.parametrize(
    ("chain", "key", "message"),
    [
        (None, "good", "cannot read .*chain.pem: No such file"),
        ("good", None, "cannot read .*key.pem: No such file"),
        ("garbage", "good", "chain.pem holds no certificate in PEM"),
        ("good", "garbage", "are no certificate and its key"),
        ("good", "other", "are no certificate and its key: key values mismatch"),
        ("good", "locked", "are no certificate and its key"),
    ],
)
def test_what_cannot_be_used_is_told_at_the_start(
    tmp_path: Path, chain: str | None, key: str | None, message: str
) -> None:
    files = dict(zip(("chain", "key"), CA.issue(tmp_path, *NAMES), strict=True))
    (tmp_path / "other").mkdir()
    _, other = CA.issue(tmp_path / "other", *NAMES)
    loaded = serialization.load_pem_private_key(other.read_bytes(), password=None)
    locked = loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    contents = {"garbage": b"garbage", "other": other.read_bytes(), "locked": locked}
    for name, content in (("chain", chain), ("key", key)):
        if content is None:
            files[name].unlink()
        elif content != "good":
            files[name].write_bytes(contents[content])
    with pytest.raises(InvalidSetting, match=message):
        PublicCertificate(files["chain"], files["key"], log=Told())
