"""gRPC server and client, peers and when to sync with them, internet mailboxes."""
