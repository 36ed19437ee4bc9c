"""What the ledger tells, as plain values."""
