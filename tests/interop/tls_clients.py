"""TLS clients that are not ours, each told to trust one node: does it, and why not.

Two are commands, two are small programs in anchor/ on the TLS libraries of their languages, built
where they are used. A client is given the anchor as `meshbox anchor` prints it (a file), or, when
it can make one itself, the node id alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

HOST: Final = "meshbox.invalid"
SOURCES: Final = Path(__file__).parent / "anchor"

_BUILD_S_MAX: Final = 110
_ASK_S_MAX: Final = 30


class Refused(Exception):
    """The client did not believe the certificate that it was shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsClient:
    """`command` makes a command line of an address, HOST:PORT, and what to trust."""

    command: Callable[[str, str], list[str]]
    refusals: tuple[str, ...]
    """One of them is in its complaint when the certificate is why it gave up."""
    makes_anchors: bool = False
    """It takes a node id as well as a file."""

    def health(self, address: str, trusted: str) -> str:
        """What the server says of its health. `Refused` when it is not believed."""
        asked = subprocess.run(
            self.command(address, trusted),
            input=f"GET /health HTTP/1.0\r\nHost: {HOST}\r\n\r\n",
            capture_output=True,
            text=True,
            timeout=_ASK_S_MAX,
            check=False,
        )
        if asked.returncode == 0:
            return asked.stdout
        assert any(text in asked.stderr for text in self.refusals), asked.stderr
        raise Refused(asked.stderr)


def curl() -> TlsClient:
    """curl, on whatever TLS library it was built with."""
    program = _found("curl")

    def command(address: str, trusted: str) -> list[str]:
        _, _, port = address.rpartition(":")
        to = ("--connect-to", f"{HOST}:{port}:{address}")
        # Without --capath the authorities of the system would be trusted as well.
        trust = ("--cacert", trusted, "--capath", "/dev/null")
        return [program, "--silent", "--show-error", *trust, *to, f"https://{HOST}:{port}/health"]

    # 35 is a failed handshake: so it calls (7.88, OpenSSL 3.0) a leaf whose signature is wrong.
    return TlsClient(command=command, refusals=("curl: (60)", "curl: (35)"))


def openssl() -> TlsClient:
    """OpenSSL's own client."""
    program = _found("openssl")

    def command(address: str, trusted: str) -> list[str]:
        trust = ("-CAfile", trusted, "-no-CApath", "-no-CAstore")
        name = ("-servername", HOST, "-verify_hostname", HOST, "-verify_return_error")
        return [program, "s_client", "-quiet", "-connect", address, *trust, *name]

    return TlsClient(command=command, refusals=("certificate verify failed",))


def go() -> TlsClient:
    """crypto/tls of Go."""
    sources = SOURCES / "go"
    program = sources / "target" / "anchor"
    _build([_found("go"), "build", "-o", str(program), "."], sources)
    return TlsClient(
        command=lambda address, trusted: [str(program), address, trusted],
        refusals=("x509: ",),
        makes_anchors=True,
    )


def rustls() -> TlsClient:
    """rustls with webpki, from crates.io."""
    sources = SOURCES / "rust"
    program = sources / "target" / "debug" / "anchor"
    environment = {"CARGO_TARGET_DIR": str(sources / "target")}
    _build([_found("cargo"), "build", "--locked", "--quiet"], sources, environment)
    return TlsClient(
        command=lambda address, trusted: [str(program), address, trusted],
        refusals=("InvalidCertificate(",),
        makes_anchors=True,
    )


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"needs the command {program}")
    return path


def _build(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    subprocess.run(
        command,
        cwd=folder,
        env=os.environ | (environment or {}),
        check=True,
        timeout=_BUILD_S_MAX,
    )
