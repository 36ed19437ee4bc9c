"""Every move of the ledger as a value, by who may make it; `lua/` has the scripts in folders of the same names."""
