"""Compares with Vapi's list of calls now and then, one worker at a time (`reconcile.py`, `rules.py`).

wait       until the ledger gives this worker the turn (`reconcile_turn.lua`); a holder that died loses it
compare    on a thread of its own; after each window the ledger keeps how far it came, and the turn is kept by that
record     what was found, for `status`, the metrics and the alerts; or why not all could be read
"""

import logging
import os
import socket
import time
from collections.abc import Callable
from functools import partial

from roark_ledger.errors import ConfigurationError
from roark_ledger.ledger import Ledger
from roark_ledger.logs import event
from roark_ledger.moves import reconcile as reconciled
from roark_ledger.moves.reconcile import Stand
from roark_ledger.server.durability import inspect, keep
from roark_producer.settings import IngestSettings
from roark_producer.taking import Intake
from roark_worker.calls.reconcile import Comparer, Comparison, Window
from roark_worker.calls.rules import ReconcileRules, Stretch, StretchKind, plan
from roark_worker.calls.vapi import Vapi, VapiFailed
from roark_worker.calls.vapi_settings import VapiSettings
from roark_worker.process.rounds import Ended, Rounds
from roark_worker.settings import WorkerSettings

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 90.0
_KEEP_SECONDS = 10.0
_LONGEST_LOOK_SECONDS = 15.0
_MOST_NAMED = 10
_DAY_MS = 86_400_000


def rules_of(settings: VapiSettings, worker: WorkerSettings) -> ReconcileRules:
    """Return the rules by which calls are judged.

    Never further back than delivered calls are remembered: a forgotten one would look like one that never came.
    """
    return ReconcileRules(
        settle_ms=round(settings.reconcile_settle_minutes * 60_000),
        back_ms=round(min(settings.reconcile_days, worker.remember_days) * _DAY_MS),
        assistants=frozenset(settings.reconcile_assistants),
    )


class Reconciler(Rounds):
    """Compares on a thread of its own until stopped."""

    def __init__(
        self,
        ledger: Ledger,
        settings: VapiSettings,
        ingest: IngestSettings,
        worker: WorkerSettings,
        *,
        make_vapi: Callable[..., Vapi] = Vapi,
        now: Callable[[], float] = time.time,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        look_seconds = min(settings.reconcile_minutes * 15, _LONGEST_LOOK_SECONDS)
        super().__init__("reconcile", look_seconds if settings.vapi_api_key else 0, join_seconds=1)
        self._ledger = ledger
        self._settings = settings
        self._ingest = ingest
        self._rules = rules_of(settings, worker)
        self._make_vapi = make_vapi
        self._now = now
        self._patience_ms = round(patience_seconds * 1000)
        self._who = f"{socket.gethostname()}-{os.getpid()}"

    def once(self) -> Comparison | None:
        """Compare now if it is this worker's turn; return what was found.

        Raises LedgerUnavailable when Redis is away.
        """
        every_ms = round(self._settings.reconcile_minutes * 60_000)
        turn = reconciled.reconcile_turn(who=self._who, every_ms=every_ms, patience_ms=self._patience_ms)
        if (stand := self._ledger.run(turn)) is None:
            return None
        return self._compare(stand, round(self._now() * 1000))

    def _compare(self, stand: Stand, began_ms: int) -> Comparison:
        stretches = plan(stand, self._rules, began_ms)
        found = Comparison(min(stretch.from_ms for stretch in stretches), began_ms - self._rules.settle_ms)
        # The very first pass reads all that Vapi keeps; broken off, it goes on at the watermark.
        first = {"full": began_ms} if not stand.watermark_ms else {}
        try:
            with self._make_vapi(self._settings, ledger=self._ledger, sleep=self._sleep) as vapi:
                comparer = self._comparer(vapi)
                for stretch in stretches:
                    comparer.compare(stretch, found, done=partial(self._came_to, stretch, first))
                left = comparer.look_again()
        except VapiFailed as failed:
            found.incomplete = str(failed)
            self._note(phase="failed", error=failed.code)
            event(logger, "reconcile_incomplete", level=logging.ERROR, code=failed.code, error=str(failed))
            return found
        stands = {"swept": began_ms}
        if not any(stretch.part is StretchKind.AGAIN for stretch in stretches):
            # All that Vapi keeps was read: because the night was over, or because none of it ever was before.
            stands |= {"full": began_ms, "full_next": 0}
        span = {"since_ms": found.since_ms, "until_ms": found.until_ms}
        self._note(phase="done", stand=stands, result=span | found.document())
        _tell(found, left)
        return found

    def _comparer(self, vapi: Vapi) -> Comparer:
        ledger = self._ledger
        if self._settings.backfill:
            try:
                promised = keep(self._ingest.durability, inspect(ledger.client)).after_write
                ledger = ledger.promising(promised)
            except ConfigurationError:
                # Producers refuse such a server, and so does a backfill: the calls stay missing, and are shown.
                event(logger, "backfill_refused", level=logging.ERROR, durability=self._ingest.durability)
                return Comparer(ledger, vapi, self._rules, Intake(self._ingest), backfill=False, now=self._now)
        backfill = self._settings.backfill
        return Comparer(ledger, vapi, self._rules, Intake(self._ingest), backfill=backfill, now=self._now)

    def _came_to(self, stretch: Stretch, first: dict[str, int], window: Window) -> None:
        match stretch.part:
            case StretchKind.NEW:
                self._note(stand={"watermark": window.to_ms} | first)
            case StretchKind.FULL:
                self._note(stand={"full_next": window.to_ms})
            case StretchKind.AGAIN:
                self._note()

    def _note(self, **noted: object) -> None:
        if self._stop.is_set() or not self._ledger.run(reconciled.reconcile_note(who=self._who, **noted)):  # type: ignore[arg-type]
            raise Ended

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._pause(min(left, _KEEP_SECONDS))
            if left > _KEEP_SECONDS:
                self._note()


def _tell(found: Comparison, missing: int) -> None:
    event(
        logger,
        "reconciled",
        level=logging.WARNING if missing else logging.INFO,
        vapi=found.ended,
        missing=missing,
        calls=list(found.missing)[:_MOST_NAMED] or None,
        backfilled=found.backfilled,
        unusable=len(found.unusable) or None,
    )
