"""Lines that are cut, healed and slowed, as the demos and benchmarks use them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from scripts.lines.line import Line


@pytest.fixture
def echo() -> Iterator[str]:
    """HOST:PORT of a server that sends back what it reads."""

    def serve(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65_536):
                connection.sendall(data)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def dial(line: Line) -> socket.socket:
    host, _, port = line.endpoint.rpartition(":")
    return socket.create_connection((host, int(port)), 5)


def asked(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    answer = b""
    while len(answer) < len(data):
        answer += connection.recv(65_536)
    return answer


def has_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_it_is_cut_and_heals_at_the_same_port(echo: str) -> None:
    with Line(echo) as line:
        with pytest.raises(OSError, match="refused"):
            dial(line)
        for _ in range(2):
            line.heal()
            with dial(line) as connection:
                data = bytes(range(256)) * 1_000
                assert asked(connection, data) == data
                line.cut()
                assert has_ended(connection)
            with pytest.raises(OSError, match="refused"):
                dial(line)
        assert line.bytes == 4 * len(data)


def test_what_is_sent_arrives_later_and_in_order(echo: str) -> None:
    with Line(echo, delay_s=0.1, jitter_s=0.05, seed=7) as line:
        line.heal()
        with dial(line) as connection:
            began_s = time.monotonic()
            data = bytes(range(256)) * 400
            assert asked(connection, data) == data
            assert time.monotonic() - began_s >= 2 * 0.05
