"""The states of a report and the legal moves between them: the one place where they are written.

     accept ─▶ ready ──claim──▶ uploading ──deliver──▶ delivered ──revise──▶ ready
                 ▲  ▲               │ │ │
                 │  ├───release─────┘ │ └──defer, refuse──▶ waiting ──promote──▶ ready
                 │  └───reclaim───────┤
                 │                    └──bury, poison──▶ dead ──discard──▶ discarded
                 └────────replay, replace──────────────── │ ◀───restore────────┘
     ready, waiting ──set_aside──▶ dead
     dead, discarded ──expire──▶ expired
     any ──erase──▶ erased

`replace` puts a newer report of the same call in the older one's place. A ready or waiting report stays where it
is, a dead one becomes ready, a discarded one stays discarded (a person decided that) and can be restored. While a
report is uploading the newer one is kept *beside* it, and takes its place when the attempt is over: by `revise`
after a delivery, by `replace` after anything else.

`refuse` is for an answer that may be true for all reports, or for this one alone: it waits for a few seconds and counts
no attempt, and when it is refused again while others pass, it is buried.

`edit` puts a report that a person changed in the place of a dead one, which stays dead.

`lose` is for a report whose payload is gone, which no step of ours does: it becomes a dead letter that says so
rather than stand in the way of the others.

A delivery in which Roark did not name the call is *unconfirmed*: delivered all the same, with its payload kept.
`confirm` ends that (Roark named it later, or a person or retention decided so) and changes no state; `resend` makes
such a report ready again.

`set_aside` is a person's: a report that waits becomes a dead letter by hand.

`expire` is retention's: off unless somebody set it, announced before it acts, counted and told in the logbook. Of an
expired call nothing is kept but the count, so that the ledger takes a later report of it for a new call.

The Lua scripts do not repeat this table: `scripts.py` renders it into the text that every script starts with.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where a report is. Each accepted report is in exactly one state."""

    READY = "ready"
    UPLOADING = "uploading"
    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"
    DISCARDED = "discarded"
    EXPIRED = "expired"
    ERASED = "erased"


class Move(StrEnum):
    """A change of state, by the word that code, logs, metrics, commands and runbook share."""

    ACCEPT = "accept"
    REPLACE = "replace"
    CLAIM = "claim"
    DELIVER = "deliver"
    DEFER = "defer"
    BURY = "bury"
    RELEASE = "release"
    REFUSE = "refuse"
    LOSE = "lose"
    RECLAIM = "reclaim"
    POISON = "poison"
    PROMOTE = "promote"
    REVISE = "revise"
    CONFIRM = "confirm"
    RESEND = "resend"
    EDIT = "edit"
    REPLAY = "replay"
    SET_ASIDE = "set_aside"
    DISCARD = "discard"
    RESTORE = "restore"
    EXPIRE = "expire"
    ERASE = "erase"


UNKNOWN = "unknown"
"""What a call is before the ledger has seen it: the state that `accept` starts from."""

LEGAL_MOVES: Mapping[Move, Mapping[str, State]] = MappingProxyType(
    {
        Move.ACCEPT: {UNKNOWN: State.READY},
        Move.REPLACE: {
            State.READY: State.READY,
            State.WAITING: State.WAITING,
            State.DEAD: State.READY,
            State.DISCARDED: State.DISCARDED,
        },
        Move.CLAIM: {State.READY: State.UPLOADING},
        Move.DELIVER: {State.UPLOADING: State.DELIVERED},
        Move.DEFER: {State.UPLOADING: State.WAITING},
        Move.BURY: {State.UPLOADING: State.DEAD},
        Move.RELEASE: {State.UPLOADING: State.READY},
        Move.REFUSE: {State.UPLOADING: State.WAITING},
        Move.LOSE: {State.READY: State.DEAD},
        Move.RECLAIM: {State.UPLOADING: State.READY},
        Move.POISON: {State.UPLOADING: State.DEAD},
        Move.PROMOTE: {State.WAITING: State.READY},
        Move.REVISE: {State.DELIVERED: State.READY},
        # Both of an unconfirmed delivery only.
        Move.CONFIRM: {State.DELIVERED: State.DELIVERED},
        Move.RESEND: {State.DELIVERED: State.READY},
        Move.EDIT: {State.DEAD: State.DEAD},
        Move.REPLAY: {State.DEAD: State.READY},
        Move.SET_ASIDE: {State.READY: State.DEAD, State.WAITING: State.DEAD},
        Move.DISCARD: {State.DEAD: State.DISCARDED},
        Move.RESTORE: {State.DISCARDED: State.DEAD},
        Move.EXPIRE: {State.DEAD: State.EXPIRED, State.DISCARDED: State.EXPIRED},
        Move.ERASE: {state: State.ERASED for state in State if state not in {State.EXPIRED, State.ERASED}},
    }
)


def after(state: str, move: Move) -> State | None:
    """Return the state that `move` leads to from `state`, or None where the move is not legal."""
    return LEGAL_MOVES[move].get(state)
