"""The Redis server: its URL, the connection, what it can promise, and why it does not answer."""
