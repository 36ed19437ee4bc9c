"""A local stand-in for Roark's HTTP API, with failures on demand and a memory of what it received.

Tests, the demo and load runs upload to it; it is never on the path to the real Roark. Start at `app.py` for
what a request meets, at `trouble/faults.py` for what can be made to go wrong, at `server.py` to run it from Python.
"""
