"""The MailboxStore interface and its engines: one folder or file an engine."""
