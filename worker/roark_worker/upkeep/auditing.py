"""Audits the ledger now and then, one worker at a time: what it finds is shown by `status` and the metrics.

wait       until the ledger gives this worker the turn (`audit_turn.lua`); a holder that died loses it
audit      on a thread of its own, with a small share of Redis's time; the turn is kept meanwhile
record     the result in the ledger; what is broken is told in the log, and mended by a person's `audit --repair`
"""

import logging
import os
import socket
import time

from roark_ledger.ledger import Ledger
from roark_ledger.logs import event
from roark_ledger.moves import upkeep
from roark_worker.process.rounds import Ended, Rounds
from roark_worker.upkeep.audit import AuditVerdict, audit

logger = logging.getLogger(__name__)

_SHARE = 0.05
_PATIENCE_SECONDS = 60.0
_KEEP_SECONDS = 10.0
_LONGEST_LOOK_SECONDS = 15.0
_MOST_NAMED = 10


class Auditor(Rounds):
    """Audits on a thread of its own until stopped."""

    def __init__(self, ledger: Ledger, *, every_seconds: float, share: float = _SHARE) -> None:
        super().__init__("audit", min(every_seconds / 4, _LONGEST_LOOK_SECONDS))
        self._ledger = ledger
        self._every_seconds = every_seconds
        self._share = share
        self._who = f"{socket.gethostname()}-{os.getpid()}"
        self._kept = 0.0

    def once(self) -> AuditVerdict | None:
        """Audit now if it is this worker's turn; return what was found.

        Raises LedgerUnavailable when Redis is away.
        """
        if not self._has_turn():
            return None
        self._kept = time.monotonic()
        verdict = audit(self._ledger, share=self._share, sleep=self._pause, progress=self._keep)
        self._ledger.run(upkeep.audit_done(verdict.accounts, who=self._who))
        _tell(verdict)
        return verdict

    def _has_turn(self) -> bool:
        every_ms, patience_ms = round(self._every_seconds * 1000), round(_PATIENCE_SECONDS * 1000)
        return self._ledger.run(upkeep.audit_turn(who=self._who, every_ms=every_ms, patience_ms=patience_ms))

    def _keep(self, _looked_at: int) -> None:
        if time.monotonic() - self._kept < _KEEP_SECONDS:
            return
        if not self._has_turn():
            raise Ended
        self._kept = time.monotonic()


def _tell(verdict: AuditVerdict) -> None:
    found = verdict.accounts
    event(
        logger,
        "audit",
        level=logging.INFO if found.holds else logging.ERROR,
        holds=found.holds,
        difference=found.difference,
        broken=found.broken,
        calls=[one.call_id for one in verdict.broken[:_MOST_NAMED]] or None,
        notes=list(found.miscounted) or None,
        seconds=round(found.took_ms / 1000, 1),
    )
