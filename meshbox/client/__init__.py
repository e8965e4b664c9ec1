"""For apps: one mailbox over HTTP, or every mailbox that was discovered."""
