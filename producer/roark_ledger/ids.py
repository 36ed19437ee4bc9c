"""What names things in the ledger: a call by Vapi's id, a lease by its token."""

from typing import NewType

CallId = NewType("CallId", str)
LeaseToken = NewType("LeaseToken", int)
