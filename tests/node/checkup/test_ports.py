from __future__ import annotations

import os
import socket

from meshbox.core.address import Endpoint
from meshbox.node.checkup.check import State
from meshbox.node.checkup.ports import check_port


def test_a_port_is_free_ours_or_somebody_s() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = Endpoint("127.0.0.1", taken.getsockname()[1])
        assert check_port("http", endpoint, own_pid=os.getpid()).state is State.OK
        check = check_port("http", endpoint, own_pid=None)
        assert (check.name, check.state) == ("port.http", State.FAIL)
        assert f"process {os.getpid()}" in check.detail
        assert check.hint is not None
    assert check_port("http", endpoint, own_pid=None).state is State.OK


def test_what_is_off_needs_no_port() -> None:
    assert check_port("https", None, own_pid=None).detail == "off"
