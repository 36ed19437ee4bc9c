"""Where a report stands, by its state: the one place where it is written.

Each report that is not delivered stands in one sorted set, a ready one in the queue of its priority. A delivered one
stands on the list `delivered`, or, where Roark did not name its call, in the sorted set `unconfirmed`. The names are
those of the keys in `keys.py`.

The Lua scripts do not repeat these tables: `scripts.py` renders them in front of each that needs them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from roark_ledger.lifecycle import State

UNCONFIRMED: Literal["unconfirmed"] = "unconfirmed"
"""Delivered, and Roark did not name the call: no state of its own, but kept and listed like one."""

LETTERS: Mapping[State, str] = MappingProxyType(
    {
        State.READY: "r",
        State.UPLOADING: "u",
        State.WAITING: "w",
        State.DELIVERED: "v",
        State.DEAD: "d",
        State.DISCARDED: "x",
        State.EXPIRED: "e",
    }
)
"""The letter by which a record tells its state. An expired report's record goes in the script that expires it."""

QUEUES: Mapping[str, str] = MappingProxyType({"f": "fresh", "r": "retry", "p": "replay"})
"""The queue in which a ready report stands, by the letter by which a record tells its priority."""

PLACES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        State.READY: tuple(QUEUES.values()),
        State.UPLOADING: ("uploading",),
        State.WAITING: ("waiting",),
        UNCONFIRMED: ("unconfirmed",),
        State.DEAD: ("dead",),
        State.DISCARDED: ("discarded",),
        State.DELIVERED: ("delivered",),
    }
)
"""The places of reports of a state, in the order in which they are shown. Unconfirmed are none of the delivered ones
here."""

SORTED_SETS = tuple(place for state, places in PLACES.items() if state != State.DELIVERED for place in places)
"""All places but the list of the delivered."""

BY_SINCE = (State.DEAD.value, State.DISCARDED.value, UNCONFIRMED)
"""The places whose scores say since when a report stands there."""
