"""A certificate that an authority issued for a public name, shown beside the node's own.

Which one a client sees follows from the name that it asks for (SNI): one of this certificate's
names gets this one; any other name, an address, or none gets the leaf that proves the node id. So
browsers and apps that know `mailbox.example.org` and clients that know the node id use one port.

The files are those that ACME clients write, and renew every few weeks. They are looked at again at
every handshake that needs them, since such clients need not know of us: two `stat`, 10 µs. While
what is there cannot be used (one of the two is replaced and the other is not yet) the former
certificate is shown on.

Knows X.509 and files. Raises `InvalidSetting` when it cannot be used at the start.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509

from meshbox.core.errors import InvalidSetting
from meshbox.core.limits import CERTIFICATE_BYTES_MAX

_Stamp = tuple[tuple[int, int, int], ...]


class _Loaded(NamedTuple):
    context: ssl.SSLContext
    names: frozenset[str]
    until: str


class PublicCertificate:
    """Shows the chain and key in two PEM files as they are now."""

    def __init__(self, chain: Path, key: Path, *, log: Callable[..., Any]) -> None:
        """`log(event, **fields)`: `certificate.loaded`, `certificate.failed`."""
        self._chain = chain
        self._key = key
        self._log = log
        self._stamp = _stamp(chain, key)
        self._loaded = _load(chain, key)
        self._tell()

    def context_for(self, name: str) -> ssl.SSLContext | None:
        """What to show to a client that asks for `name`; None when that is not ours."""
        self._refresh()
        name = name.lower()
        wildcard = f"*.{name.partition('.')[2]}"
        is_ours = not self._loaded.names.isdisjoint((name, wildcard))
        return self._loaded.context if is_ours else None

    def _refresh(self) -> None:
        try:
            stamp = _stamp(self._chain, self._key)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._loaded = _load(self._chain, self._key)
        except InvalidSetting as error:
            self._log("certificate.failed", detail=error.message)
        else:
            self._tell()

    def _tell(self) -> None:
        names = sorted(self._loaded.names)
        self._log("certificate.loaded", names=names, until=self._loaded.until)


def _stamp(*files: Path) -> _Stamp:
    try:
        found = [file.stat() for file in files]
    except OSError as error:
        raise InvalidSetting(f"cannot read {error.filename}: {error.strerror}") from error
    return tuple((status.st_mtime_ns, status.st_size, status.st_ino) for status in found)


def _load(chain: Path, key: Path) -> _Loaded:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        with chain.open("rb") as file:
            certificate = x509.load_pem_x509_certificate(file.read(CERTIFICATE_BYTES_MAX))
        # A password is given so that none is asked for at the terminal.
        context.load_cert_chain(chain, key, password=b"")
    except ssl.SSLError as error:
        reason = error.reason or "the key has a password, or is none"
        raise InvalidSetting(
            f"{chain} and {key} are no certificate and its key: {reason.lower().replace('_', ' ')}",
            hint="PEM files are wanted, the key without a password",
        ) from error
    except OSError as error:
        raise InvalidSetting(f"cannot read {error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise InvalidSetting(f"{chain} holds no certificate in PEM: {error}") from error
    return _Loaded(context, _names(certificate), certificate.not_valid_after_utc.isoformat())


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(name.lower() for name in found.value.get_values_for_type(x509.DNSName))
