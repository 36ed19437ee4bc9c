"""From a ledger of one partition to one of several, while reports come in and go out."""
