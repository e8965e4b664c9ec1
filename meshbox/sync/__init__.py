"""Keeping mailboxes equal: gRPC, one runner a session, peers, and when to dial them.

Knows streams, time-outs, and which of two sessions stays. Must not know what is wanted of whom:
`core` decides.
Others use `backoff`, `bridge.bridges`, `peers`, `runner`, `service`, `status`, `transport`.
"""

import os

# gRPC writes to standard error by itself, past the node's log: only its errors are of use there.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
