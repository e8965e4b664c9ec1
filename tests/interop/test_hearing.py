"""What the apps' own libraries announce, in either dialect, is found, told apart, and missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from meshbox.core.ids import node_id_of
from meshbox.discovery.swarm.packet import label_of
from scripts.lines.lab import Lab
from tests.discovery.test_namespaces import Line, speaking
from tests.interop.phone import Age, Phone, build
from tests.lab import require_lab

pytestmark = [
    pytest.mark.usefixtures("_needs_lab"),
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("phones"),
]

FOUND_S_MAX = 2.0
GONE_S_MAX = 5.0
MAILBOX = node_id_of(bytes(range(32)))

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def _needs_lab() -> None:
    require_lab()


@pytest.fixture(scope="module")
def programs() -> dict[Age, Path]:
    return build()


def told(line: Line, event: str, dialect: str) -> bool:
    mailbox = line.get("mailbox", {})
    return (line["event"], mailbox.get("mailbox_id"), mailbox.get("dialect")) == (
        event,
        MAILBOX,
        dialect,
    )


@pytest.mark.parametrize("age", Age)
@pytest.mark.parametrize("dialect", ["standard", "swarm"])
async def test_a_mailbox_of_the_library_is_found_and_missed(
    programs: dict[Age, Path], age: Age, dialect: str, record_property: Record
) -> None:
    name = MAILBOX if dialect == "standard" else label_of(MAILBOX)
    with Lab(machines=2) as lab:
        async with speaking(lab, 0) as node:
            address = lab.address(lab.machines[1])
            words = ("announce", dialect, "dashchat", name, "4000", address)
            mailbox = Phone(lab, lab.machines[1], programs[age], *words)
            found = await node.until(lambda line: told(line, "MailboxFound", dialect), within_s=15)
            assert found["mailbox"]["endpoints"] == [[address, 4000]]
            stopped = time.monotonic()
            await asyncio.to_thread(mailbox.stop)
            gone = await node.until(lambda line: told(line, "MailboxGone", dialect), within_s=15)
    record_property("found_s", round(found["at"] - mailbox.began, 2))
    record_property("gone_s", round(gone["at"] - stopped, 2))
    assert found["at"] - mailbox.began < FOUND_S_MAX
    assert gone["at"] - stopped < GONE_S_MAX
