"""Keeping mailboxes equal: gRPC, one runner a session, peers, and when to dial them."""

import os

# gRPC writes to standard error by itself, past the node's log: only its errors are of use there.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
