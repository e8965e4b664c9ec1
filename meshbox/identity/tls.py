"""Python TLS contexts from an identity: the HTTPS listener's, and that of a client that dials it.

Knows `ssl` and files only as far as `ssl` demands them. A client's context trusts one node id and
nothing else: no certificate authority, no first-use prompt. gRPC makes its own credentials from
`certificate.py`.
"""

from __future__ import annotations

import secrets
import ssl
import tempfile
from collections.abc import Callable

from cryptography.hazmat.primitives import serialization

from meshbox.core.errors import DataFolderFailed
from meshbox.core.ids import NodeId
from meshbox.identity.certificate import Leaf, trust_anchor
from meshbox.identity.public_certificate import PublicCertificate

_PASSWORD_BYTES = 32


def server_context(leaf: Leaf, public: PublicCertificate | None = None) -> ssl.SSLContext:
    """A server's context that shows `leaf`, or `public` to those who ask for a name of it. Raises
    `DataFolderFailed` when no file can be made.

    `ssl` loads keys from files only. The file is a temporary one, and the key in it is encrypted
    under a password that no file holds: what a crash leaves behind is of no use to its finder.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    password = secrets.token_hex(_PASSWORD_BYTES).encode()
    key = serialization.load_pem_private_key(leaf.key_pem, password=None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )
    try:
        with tempfile.NamedTemporaryFile(prefix="meshbox-leaf-") as file:
            file.write(key + leaf.chain_pem)
            file.flush()
            context.load_cert_chain(file.name, password=password)
    except OSError as error:
        raise DataFolderFailed(
            f"cannot write a temporary file: {error.strerror}", hint="check TMPDIR and free space"
        ) from error
    if public is not None:
        context.sni_callback = _shows(public)
    return context


def _shows(
    public: PublicCertificate,
) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]:
    def choose(handshake: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        context = public.context_for(name) if name else None
        if context is not None:
            handshake.context = context

    return choose


def client_context(node_id: NodeId) -> ssl.SSLContext:
    """A client's context under which only the holder of `node_id` can answer.

    Connect with `server_hostname=LEAF_NAME`, whatever the address.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=trust_anchor(node_id).decode())
    return context
