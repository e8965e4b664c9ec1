"""The bridge: mailbox servers of the apps' own kind, over HTTP (design.md 10)."""
