"""Which server of a cluster will be full first."""

from contextlib import suppress

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.ledger import Ledger
from roark_ledger.moves import watch
from roark_ledger.records.snapshot import Snapshot
from roark_ledger.server.cluster import node_of
from roark_ops.outage import FullestNode, fullest_of


def fullest_node(ledger: Ledger, snapshot: Snapshot) -> FullestNode:
    """Return the server on which memory ends first; of several partitions each is asked."""
    if snapshot.partitions == 1:
        return FullestNode(snapshot.memory, node_of(ledger.client))
    found = []
    for part in ledger.parts[:-1]:
        # One that is away is told of beside this.
        with suppress(LedgerUnavailable):
            memory = part.run(watch.snapshot()).memory
            found.append((node_of(part.client), memory))
    return fullest_of(found) if found else FullestNode(snapshot.memory)
