"""`roark-ingest up`: the whole pipeline on one machine, the server included.

`pipeline.py` tells one run from its first line to its last; `plan.py` decides what is run; `server/` is the
embedded server, `crew.py` keeps the processes alive and ends them in order; `demo.py` shows reports being delivered.
"""
