"""Compares Vapi's list of calls with the reports that are here, once, because a person wants to know."""

from collections.abc import Callable
from contextlib import nullcontext

from roark_ledger.moves import desk
from roark_ledger.records.logbook import Action, doer
from roark_ops.access import Access
from roark_producer.taking import Intake
from roark_worker.calls.reconcile import Comparer, Comparison, Window
from roark_worker.calls.reconciling import rules_of
from roark_worker.calls.roark_calls import RoarkCalls
from roark_worker.calls.rules import Stretch, StretchKind
from roark_worker.calls.vapi import Vapi, VapiFailed
from roark_worker.calls.vapi_settings import VapiSettings
from roark_worker.settings import WorkerSettings
from roark_worker.upload.roark import Token


class OneComparison:
    """Compares as the settings say. Raises ConfigurationError where they are wrong."""

    def __init__(self) -> None:
        self._settings, self._worker = VapiSettings(), WorkerSettings()
        self._rules = rules_of(self._settings, self._worker)

    @property
    def has_key(self) -> bool:
        """Whether Vapi can be asked."""
        return self._settings.vapi_api_key is not None

    @property
    def most_ms(self) -> int:
        """How far back calls can be compared: delivered ones are forgotten after a while."""
        return self._rules.back_ms

    def run(
        self,
        access: Access,
        found: Comparison,
        *,
        by: Callable[[], str],
        reason: str = "",
        backfill: bool = False,
        at_roark: bool = False,
        done: Callable[[Window], object],
    ) -> None:
        """Compare the time from `found.since_ms` to `found.until_ms`, adding to `found`; `done` hears of each window.

        With `backfill` the reports of missing calls are rebuilt and queued, which is logged as done `by` somebody; with
        `at_roark` every delivered call is looked up at Roark. Where Vapi does not say all, `found.incomplete` says why.
        Raises ConfigurationError without Vapi's key, LedgerUnavailable; what was done stays done.
        """
        looked_up = RoarkCalls(self._worker, Token.of(self._worker)) if at_roark else nullcontext()
        with Vapi(self._settings, ledger=access.ledger) as vapi, looked_up as roark:
            if backfill:
                access.ledger.run(desk.log_deed(Action.BACKFILL, who=doer(by(), reason)))
            intake, ledger = Intake(access.settings), access.durable_ledger()
            comparer = Comparer(ledger, vapi, self._rules, intake, backfill=backfill, roark=roark)
            try:
                comparer.compare(Stretch(StretchKind.NEW, found.since_ms, found.until_ms), found, done=done)
            except VapiFailed as failed:
                found.incomplete = str(failed)
