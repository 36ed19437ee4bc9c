"""What every worker does beside delivering: the tick, the audit, its set-up, its memory of the ledger."""
