"""The comparison with Vapi's list of calls that somebody started on a page: one at a time, whoever looks on.

1. `start` begins it on a thread of its own, and it goes on when the page is closed.
2. `last` tells how far it is, and what it found; that stays until the next one.
3. What is missing can be brought in when it was shown: the same stretch of time again, with `backfill`.

If the console ends meanwhile, what was queued stays queued, and the same once more does no harm.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from roark_ledger.errors import ConfigurationError, IngestError
from roark_ledger.logs import event
from roark_ops.access import Access
from roark_ops.cli.terminal.running import in_words
from roark_ops.desk.comparing import OneComparison
from roark_worker.calls.reconcile import Comparison

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Compared:
    """How far a comparison is, and what it found so far: `facts` are its figures, `missing` the ids of calls.

    `share` of the time is done. `failed` says why it ended before, `incomplete` why Vapi did not say all. `of` is the
    number of the comparison that had found what this one brings in.
    """

    number: int
    by: str
    since_ms: int
    until_ms: int
    backfill: bool
    at_roark: bool
    of: int = 0
    state: str = "running"
    share: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unusable: int = 0
    absent: tuple[str, ...] = ()
    incomplete: str = ""
    failed: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self.state == "running"

    @property
    def can_bring_in(self) -> int:
        """How many reports could be rebuilt."""
        return 0 if self.is_running else len(self.missing) - self.unusable


class Comparing:
    """Keeps the last comparison of this process."""

    def __init__(self, comparison: Callable[[], OneComparison] = OneComparison) -> None:
        self._make = comparison
        self._lock = threading.Lock()
        self._number = 0
        self._has_key: bool | None = None
        self.last: Compared | None = None

    @property
    def has_key(self) -> bool:
        """Whether this process has Vapi's key."""
        if self._has_key is None:
            try:
                self._has_key = self._make().has_key
            except ConfigurationError:
                self._has_key = False
        return self._has_key

    def start(
        self,
        access: Access,
        *,
        by: str,
        since_ms: int,
        until_ms: int,
        at_roark: bool = False,
        of: int = 0,
        reason: str = "",
    ) -> Compared:
        """Begin a comparison; return it, or the one that is under way. With `of` what that one missed is brought in.

        Raises ConfigurationError when the settings are wrong.
        """
        comparison = self._make()
        with self._lock:
            if self.last and (self.last.is_running or (of and self.last.number != of)):
                return self.last
            self._number += 1
            since_ms = max(since_ms, until_ms - comparison.most_ms)
            began = Compared(self._number, by, since_ms, until_ms, bool(of), at_roark, of)
            self.last = began

        def work() -> None:
            self._work(comparison, access, began, reason)

        threading.Thread(target=work, name="console-reconcile", daemon=True).start()
        return began

    def _work(self, comparison: OneComparison, access: Access, now: Compared, reason: str) -> None:
        found = Comparison(now.since_ms, now.until_ms)
        failed = ""
        try:
            comparison.run(
                access,
                found,
                by=lambda: now.by,
                reason=reason,
                backfill=now.backfill,
                at_roark=now.at_roark,
                done=lambda window: self._note(now, found, window.to_ms),
            )
        except IngestError as error:
            failed = in_words(error)
        except Exception as error:  # noqa: BLE001 nobody waits for this thread; the message may quote a call
            event(logger, "comparison_failed", level=logging.ERROR, error=type(error).__name__)
            failed = "The console failed half-way. Compare again."
        self._note(now, found, found.done_ms, state="failed" if failed else "done", failed=failed)

    def _note(self, now: Compared, found: Comparison, at_ms: int, *, state: str = "running", failed: str = "") -> None:
        span_ms = max(1, now.until_ms - now.since_ms)
        self.last = replace(
            now,
            state=state,
            share=1.0 if state == "done" else max(0, at_ms - now.since_ms) / span_ms,
            facts=found.document(),
            missing=tuple(sorted(found.missing)),
            unusable=len(found.missing.keys() & found.unusable.keys()),
            absent=tuple(sorted(found.at_roark.absent)) if found.at_roark else (),
            incomplete=found.incomplete or (found.at_roark.silent if found.at_roark else ""),
            failed=failed,
        )


def now_ms() -> int:
    """Return the time as Vapi tells it: this machine's, not Redis's."""
    return round(time.time() * 1000)
