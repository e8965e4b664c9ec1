"""The node's key, its file, the certificates and proofs that follow from it.

Knows Ed25519 and X.509. Must not know gRPC, HTTP, and what a proven peer may do.
Others use `certificate`, `key`, `key_file`, `proof`, `public_certificate`, `tls`.
"""
