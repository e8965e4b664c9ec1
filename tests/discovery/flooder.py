"""A process that forges mDNS packets: `RATE` a second of one kind, until it is killed.

Kinds: `many` (new nodes and mailboxes in both dialects, each named once), `long` (names of 255
bytes), `loops` (compression pointers that lead in circles), `liar` (what a given node id announces,
at another address, in both dialects and with the flush bit), `rubbish` (noise behind a true
header), `questions` (of both dialects).
"""

from __future__ import annotations

import argparse
import ipaddress
import itertools
import random
import secrets
import socket
import struct
import time
from collections.abc import Callable, Iterator

from meshbox.core.ids import NodeId, node_id_of, parse_node_id
from meshbox.discovery.found import encode_txt
from meshbox.discovery.swarm.packet import answer, label_of, query

GROUP, PORT = "224.0.0.251", 5353
NODES, MAILBOXES = "_meshbox._tcp.local.", "_dashchat._tcp.local."
LIAR = "10.77.66.55"
A, PTR, TXT, SRV = 1, 12, 16, 33
FLUSH = 0x8001
SLICE_S = 0.01


def name(text: str) -> bytes:
    labels = text.rstrip(".").split(".")
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def record(owner: bytes, type_: int, rdata: bytes, class_: int = FLUSH) -> bytes:
    return owner + struct.pack("!HHIH", type_, class_, 4_500, len(rdata)) + rdata


def response(*records: bytes) -> bytes:
    return struct.pack("!6H", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)


def announcement(instance: str, type_: str, host: str, address: str, txt: bytes) -> bytes:
    full = name(f"{instance}.{type_}")
    return response(
        record(name(type_), PTR, full, 1),
        record(full, SRV, struct.pack("!3H", 0, 0, 4_444) + name(host)),
        record(full, TXT, txt),
        record(name(host), A, ipaddress.ip_address(address).packed),
    )


def node(node_id: NodeId, instance: str, host: str, address: str) -> bytes:
    txt = encode_txt({"id": node_id, "v": "1", "run": secrets.token_hex(4)})
    return announcement(instance, NODES, host, address, txt)


def many() -> Iterator[bytes]:
    for _ in itertools.count():
        node_id = node_id_of(secrets.token_bytes(32))
        host = f"h{secrets.token_hex(4)}.local."
        yield node(node_id, node_id, host, LIAR)
        yield announcement(node_id, MAILBOXES, host, LIAR, b"\0")
        yield answer(MAILBOXES, label=label_of(node_id), port=1, addresses=[LIAR], is_leaving=False)


def long() -> Iterator[bytes]:
    while True:
        instance = ".".join(secrets.token_hex(31)[:61] for _ in range(3)) + ".x"
        yield announcement(instance, NODES, f"{instance}.local.", LIAR, b"\0" * 400)


def loops() -> Iterator[bytes]:
    while True:
        at = random.choice((12, 13, 14, 20, 0x3FFF))
        pointer = struct.pack("!H", 0xC000 | at)
        yield response(record(b"\1a" + pointer, PTR, pointer + name(MAILBOXES), 1))


def liar(node_id: NodeId) -> Iterator[bytes]:
    while True:
        host = f"h{secrets.token_hex(4)}.local."
        yield node(node_id, node_id, host, LIAR)
        yield announcement(node_id, MAILBOXES, host, LIAR, b"\0")
        yield answer(MAILBOXES, label=label_of(node_id), port=1, addresses=[LIAR], is_leaving=False)


def rubbish() -> Iterator[bytes]:
    while True:
        noise = random.randbytes(random.randrange(600))
        yield struct.pack("!6H", 0, 0x8400, *random.choices(range(40), k=4)) + name(NODES) + noise


def questions() -> Iterator[bytes]:
    while True:
        yield query(MAILBOXES)
        yield query(NODES)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["many", "long", "loops", "liar", "rubbish", "questions"])
    parser.add_argument("--rate", type=int, default=2_000)
    parser.add_argument("--id", type=parse_node_id)
    arguments = parser.parse_args()
    kinds: dict[str, Callable[[], Iterator[bytes]]] = {
        "many": many,
        "long": long,
        "loops": loops,
        "liar": lambda: liar(arguments.id),
        "rubbish": rubbish,
        "questions": questions,
    }
    flood(kinds[arguments.kind](), rate=arguments.rate)


def flood(packets: Iterator[bytes], *, rate: int) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("", PORT))
    begun = time.monotonic()
    sent = 0
    print("flooding", flush=True)
    while True:
        due = int((time.monotonic() - begun) * rate)
        for _ in range(due - sent):
            sock.sendto(next(packets), (GROUP, PORT))
        sent = due
        time.sleep(SLICE_S)


if __name__ == "__main__":
    main()
