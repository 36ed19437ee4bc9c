"""Opens a ledger, of however many partitions: from a URL and a prefix to a Ledger or an AsyncLedger.

Nothing is sent by opening one. On a cluster each partition has connections of its own, which lead to its node;
elsewhere all share those of the home.
"""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from roark_ledger.ledger import AfterWrite, AsyncLedger, Ledger
from roark_ledger.partitions.ledger import AsyncPartedLedger, PartedLedger
from roark_ledger.server.cluster import finder_of
from roark_ledger.server.connection import connect, connect_async

_clients: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
"""Those of partitions, by prefix, of each client of a home: a ledger that is opened anew on it has the same ones."""


def _client_of(home: Any, prefix: str, connected: Callable[[], Any]) -> Any:
    if not finder_of(home):
        return home
    theirs = _clients.setdefault(home, {})
    if prefix not in theirs:
        theirs[prefix] = connected()
    return theirs[prefix]


def open_ledger(
    url: str,
    prefix: str,
    *,
    client: Any = None,
    after_write: AfterWrite = (),
    remembered: Callable[[], int] = lambda: 0,
) -> PartedLedger:
    """Return the ledger, through a client that is open or one of its own.

    `remembered` says of how many partitions it was when this machine last saw it, 0 where it does not know.
    """
    client = client or connect(url)

    def part(name: str) -> Ledger:
        return Ledger(_client_of(client, name, lambda: connect(url)), prefix=name, after_write=after_write)

    return PartedLedger(Ledger(client, prefix=prefix, after_write=after_write), part, remembered)


def open_async_ledger(
    url: str,
    prefix: str,
    *,
    client: Any = None,
    after_write: AfterWrite = (),
    remembered: Callable[[], int] = lambda: 0,
) -> AsyncLedger:
    """Return the same for an event loop."""
    client = client or connect_async(url)

    def part(name: str) -> AsyncLedger:
        return AsyncLedger(_client_of(client, name, lambda: connect_async(url)), prefix=name, after_write=after_write)

    return AsyncPartedLedger(AsyncLedger(client, prefix=prefix, after_write=after_write), part, remembered)
