"""The rules of the mailbox, pure: no clock, randomness, event loop, protobuf or I/O."""
