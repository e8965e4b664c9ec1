"""Python TLS contexts from an identity: the HTTPS listener's, and that of a client that dials it.

Knows `ssl` and files only as far as `ssl` demands them. A client's context trusts one node id and
nothing else: no certificate authority, no first-use prompt. gRPC makes its own credentials from
`certificate.py`.
"""

from __future__ import annotations

import secrets
import ssl
import tempfile

from cryptography.hazmat.primitives import serialization

from meshbox.core.errors import DataFolderFailed
from meshbox.core.ids import NodeId
from meshbox.identity.certificate import Leaf, trust_anchor

_PASSWORD_BYTES = 32


def server_context(leaf: Leaf) -> ssl.SSLContext:
    """A server's context that shows `leaf`. Raises `DataFolderFailed` when no file can be made.

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
    return context


def client_context(node_id: NodeId) -> ssl.SSLContext:
    """A client's context under which only the holder of `node_id` can answer.

    Connect with `server_hostname=LEAF_NAME`, whatever the address.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=trust_anchor(node_id).decode())
    return context
