"""One sync session with one peer, as a state machine without I/O (design.md 9)."""
