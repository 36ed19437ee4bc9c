"""The lane's row in Flower: `roark.lane`, SHUT with the reason in plain words, then OPEN.

Both are states of our own (Celery takes `task-shut` for one), which Flower does not count as a worker's tasks.

Every worker looks each second; the ledger gives one of them the turn to show it (`lane_news.lua`).
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from roark_ledger.lane_states import LaneState
from roark_ledger.ledger import Ledger
from roark_ledger.logs import masked_text
from roark_ledger.moves import watch
from roark_ledger.records.lane import LaneNews
from roark_ledger.records.screen import uploads_are
from roark_ledger.records.setup import Setup
from roark_worker.answers.lane_words import explain_way
from roark_worker.flower.report_events import ReportEvent, in_words

LANE_TASK = "roark.lane"
_UUID = str(uuid.uuid5(uuid.NAMESPACE_URL, "roark-ingest lane"))
_AGAIN_MS = 60_000


class LaneRow:
    """Shows how the lane is, when that is this worker's turn."""

    def __init__(self, ledger: Ledger, tell: Callable[[ReportEvent], None]) -> None:
        self._ledger = ledger
        self._tell = tell

    def look(self) -> None:
        """Show it, if it is to be shown now.

        Raises LedgerUnavailable when Redis is away.
        """
        if news := self._ledger.run(watch.lane_news(again_ms=_AGAIN_MS)):
            setup = self._ledger.run(watch.snapshot()).setup
            self._tell(lane_event(news, setup, time.time()))


def lane_event(news: LaneNews, setup: Setup | None, at: float) -> ReportEvent:
    """Return what Flower is told of the lane `at` this Unix time. A shut one goes to the top of the list."""
    lane = news.lane
    row: dict[str, Any] = {"uuid": _UUID, "name": LANE_TASK, "args": "", "kwargs": "{}", "timestamp": at}
    # Roark's own words may quote a report; of a hold by Roark only the code is ours.
    reason = lane.reason.partition(" ")[0] if lane.by == "roark" else masked_text(lane.reason)
    why = explain_way(replace(lane, reason=reason, by=masked_text(lane.by)), setup, examples=False)
    if why is None or lane.state == LaneState.THROTTLED:
        said = f"{uploads_are(LaneState.OPEN)}."
        return ReportEvent("task-open", row | {"result": said, "exception": None})
    said = f"{uploads_are(lane.state)}. Reports ready: {news.ready}. {in_words(why)}"
    return ReportEvent("task-shut", row | {"received": at, "result": said, "exception": said})
