"""The node's key, its certificates and proofs, and whom it trusts."""
