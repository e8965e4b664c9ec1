"""The mailbox HTTP facade: one module an API generation."""
