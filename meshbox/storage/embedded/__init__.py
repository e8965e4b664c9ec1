"""The embedded store: the whole logic of a mailbox's storage over a key-value seam."""
