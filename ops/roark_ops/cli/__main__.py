"""`python -m roark_ops.cli`: the same as `roark-ingest`."""

from roark_ops.cli import main

if __name__ == "__main__":
    main()
