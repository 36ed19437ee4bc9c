"""Commands that act on the whole ledger, or hand reports in."""
