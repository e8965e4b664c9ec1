"""A process that prints every packet of the mDNS group as a line of hex digits."""

from __future__ import annotations

import socket
import struct

GROUP, PORT = "224.0.0.251", 5353


def main() -> None:
    tap = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    tap.bind((GROUP, PORT))
    here = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton("0.0.0.0"))
    tap.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, here)
    print("listening", flush=True)
    while True:
        print(tap.recv(9_000).hex(), flush=True)


if __name__ == "__main__":
    main()
