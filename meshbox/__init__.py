"""meshbox: a mailbox for end-to-end encrypted, append-only logs."""
