"""The spool: what must not be lost while the place it belongs to is away, on this machine's disk."""
