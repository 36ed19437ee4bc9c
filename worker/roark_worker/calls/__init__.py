"""Every call accounted for: Vapi's list of calls beside the ledger, and fresh links to their audio."""
