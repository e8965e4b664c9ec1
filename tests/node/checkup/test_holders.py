from __future__ import annotations

import os
import socket

from meshbox.node.checkup.holders import holders


def test_who_holds_a_udp_port_is_seen() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        assert os.getpid() in [holder.pid for holder in holders("udp", port)]
        assert holders("tcp", port) == []
