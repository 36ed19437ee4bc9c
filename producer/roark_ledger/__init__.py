"""The ledger: one record per call in Redis, every change of state one Lua script.

`lifecycle.py` says which states and moves there are, `lua/` how each move is made; `moves/` is what callers run, by who
may make them, `ledger.py` runs it, `records/` is what comes back. Nothing here knows a producer, a worker or a command.
"""
