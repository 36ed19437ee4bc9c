"""The benchmark suite: `make bench`, or `make bench-quick` in under five minutes. See README.md beside this file."""
