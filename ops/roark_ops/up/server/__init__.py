"""The embedded server: a real Valkey, its files, its allocator, its socket."""
