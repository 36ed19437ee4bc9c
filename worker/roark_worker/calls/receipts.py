"""Looks deliveries up at Roark some minutes after it took them, one worker at a time (`receipt_rules.py`).

turn     the ledger gives this worker the turn, and what is due (`receipts_turn.lua`); a holder that died loses it
look     on a thread of its own, a few a second (`roark_calls.py`); where Roark says nothing, later
note     what was found is kept one by one, so that a worker that dies in between leaves nothing half done
"""

import logging
import os
import socket
from collections.abc import Callable

import msgspec

from roark_ledger.ledger import Ledger
from roark_ledger.logs import event
from roark_ledger.moves import receipts
from roark_ledger.moves.receipts import Due, LookedUp
from roark_worker.calls.roark_calls import RoarkCalls, RoarkSaysNothing
from roark_worker.process.rounds import Rounds
from roark_worker.settings import WorkerSettings
from roark_worker.upload.roark import Token

logger = logging.getLogger(__name__)

_PATIENCE_MS = 90_000
_MOST_AT_ONCE = 50
_EVERY_SECONDS = 5.0
_LONGEST_REST_SECONDS = 300.0


class ReceiptLooker(Rounds):
    """Looks deliveries up on a thread of its own until stopped."""

    def __init__(
        self,
        ledger: Ledger,
        settings: WorkerSettings,
        token: Token,
        *,
        make_roark: Callable[..., RoarkCalls] = RoarkCalls,
    ) -> None:
        self._rules = settings.receipt_rules()
        every = min(_EVERY_SECONDS, self._rules.first_ms / 4000)
        super().__init__("receipts", every if self._rules.share else 0, join_seconds=1)
        self._ledger = ledger
        self._settings = settings
        self._token = token
        self._make_roark = make_roark
        self._who = f"{socket.gethostname()}-{os.getpid()}"
        self._error = ""
        self._rest_seconds = 0.0

    def _round(self) -> None:
        self._rest_seconds = 0.0
        self.once()
        self._pause(self._rest_seconds)

    def once(self) -> int | None:
        """Look up what is due, if it is this worker's turn; return how many looks were kept.

        Raises LedgerUnavailable when Redis is away; what was kept stays kept.
        """
        due = self._ledger.run(receipts.receipts_turn(who=self._who, patience_ms=_PATIENCE_MS, most=_MOST_AT_ONCE))
        if not due:
            return None if due is None else 0
        kept = 0
        with self._make_roark(self._settings, self._token, sleep=self._pause) as roark:
            for one in due:
                try:
                    visible = roark.is_visible(one.roark_call_id)
                except RoarkSaysNothing as nothing:
                    self._note(error=nothing.code)
                    self._tell(nothing)
                    self._rest_seconds = min(max(nothing.retry_after, 30.0), _LONGEST_REST_SECONDS)
                    return kept
                kept += self._note(one, visible=visible)
        self._error = ""
        return kept

    def _note(self, one: Due | None = None, *, visible: bool = False, error: str = "") -> int:
        found = [LookedUp(one, visible, _line(one, visible=visible))] if one else []
        note = receipts.receipts_note(
            found, in_time_ms=self._rules.in_time_ms, ages_ms=self._rules.ages_ms, error=error
        )
        return self._ledger.run(note).count(True)

    def _tell(self, nothing: RoarkSaysNothing) -> None:
        # Once: it is asked again and again.
        if nothing.code != self._error:
            event(logger, "receipts_unknown", level=logging.WARNING, code=nothing.code, error=str(nothing))
        self._error = nothing.code


def _line(one: Due, *, visible: bool) -> bytes:
    return msgspec.json.encode({"visible": visible, "roark_call_id": one.roark_call_id})
