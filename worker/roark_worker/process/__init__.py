"""Worker processes: the event loop of each, and the supervisor that keeps them alive."""
