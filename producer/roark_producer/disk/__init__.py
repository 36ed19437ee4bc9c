"""The spool on this machine's disk, and what of it cannot be read."""
