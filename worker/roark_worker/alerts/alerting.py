"""Alerts: every worker looks every few seconds; the ledger decides who sends what (`alerts.lua`).

look       the snapshot and a few facts, judged by fixed rules (`causes.py`)
decide     one script takes note of it, and hands this worker the messages that are its turn
send       on this thread, which nothing waits for: deliveries and the tick go on whatever the webhook does
done       the turn is given back; a worker that dies before that leaves the message to the next one, so it may come
           twice and is never lost

While Redis takes nothing none of this can be; that alone is told past it (`past_redis.py`).
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from roark_ledger.errors import LedgerError
from roark_ledger.ledger import Ledger
from roark_ledger.logs import event
from roark_ledger.moves import watch
from roark_ledger.records.alerts import AlertKind, Message, Turn
from roark_ledger.records.snapshot import Snapshot
from roark_worker.alerts.causes import AlertRules, causes
from roark_worker.alerts.pages import alert_page
from roark_worker.alerts.past_redis import AWAY_SECONDS, KIND, PastRedis
from roark_worker.alerts.post import AlertNotTaken, body, post
from roark_worker.process.rounds import Rounds
from roark_worker.settings import WorkerSettings

logger = logging.getLogger(__name__)

_LEASE_SECONDS = 40.0
_LATELY_MS = 600_000

Send = Callable[[SecretStr, Turn], None]


def send(url: SecretStr, turn: Turn, console_url: str = "") -> None:
    """Send one message, with a link to the console's page about it where that has an address.

    Raises AlertNotTaken when it is not known to have been taken.
    """
    page = alert_page(console_url, turn.kind)
    lasted = _minutes(turn.ended_ms - turn.since_ms) if turn.what == "recovered" else ""
    post(url.get_secret_value(), body(turn.kind, turn.what, turn.message, lasted=lasted, page=page))


def _send_linked(console_url: str, url: SecretStr, turn: Turn) -> None:
    send(url, turn, console_url)


class Alerter(Rounds):
    """Looks on a thread of its own until stopped. `lease_seconds` is longer than sending may take.

    `away_seconds` is for how long Redis must take nothing until that is told past it, or one of its partitions be away
    until that is told: a restart or a fail-over is nobody's alarm.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: WorkerSettings,
        data_dir: Path,
        *,
        send: Send = send,
        console_url: str = "",
        lease_seconds: float = _LEASE_SECONDS,
        away_seconds: float = AWAY_SECONDS,
    ) -> None:
        # A message that is being sent at the end is another worker's turn later.
        super().__init__("alerts", settings.alert_look_seconds, join_seconds=1)
        self._ledger = ledger
        self._settings = settings
        self._url = settings.alert_url
        self._send = partial(_send_linked, console_url) if console_url else send
        self._lease_ms = round(lease_seconds * 1000)
        self._rules = AlertRules(
            deaths=settings.alert_deaths,
            lately_ms=_LATELY_MS,
            breaker_ms=round(settings.alert_breaker_seconds * 1000),
            audio_ms=round(settings.alert_audio_minutes * 60_000),
            unnamed_share=settings.alert_unconfirmed_share,
        )
        self._away_seconds = away_seconds
        self._away_since: float | None = None
        self._past_redis = PastRedis(
            data_dir,
            self._tell_past_redis,
            repeat_seconds=settings.alert_repeat_hours * 3600,
            after_seconds=away_seconds,
        )

    def _round(self) -> None:
        try:
            self.once()
            self._past_redis.worked()
        except LedgerError as error:
            self._past_redis.failed(error)

    def once(self) -> int:
        """Look once and send what is this worker's turn; return how many messages were sent.

        Raises LedgerUnavailable when Redis is away.
        """
        return sum(self._sent(turn) for turn in self._turns())

    def _turns(self) -> list[Turn]:
        snapshot = self._ledger.run(watch.snapshot())
        facts = self._ledger.run(watch.alert_facts(lately_ms=_LATELY_MS, soon_ms=self._rules.audio_ms))
        found = causes(snapshot, facts, self._rules)
        if not self._are_long_away(snapshot):
            found.pop(AlertKind.PARTITION_AWAY, None)
        return self._ledger.run(
            watch.take_alerts(
                found,
                lease_ms=self._lease_ms,
                calm_ms=round(self._settings.alert_calm_seconds * 1000),
                repeat_ms=round(self._settings.alert_repeat_hours * 3_600_000),
                may_send=self._url is not None,
            )
        )

    def _are_long_away(self, snapshot: Snapshot) -> bool:
        now = time.monotonic()
        self._away_since = (self._away_since or now) if snapshot.away else None
        return self._away_since is not None and now - self._away_since >= self._away_seconds

    def _sent(self, turn: Turn) -> bool:
        level = logging.WARNING if turn.what == "raised" else logging.INFO
        event(logger, f"alert_{turn.what}", level=level, kind=turn.kind.value, headline=turn.message.headline)
        try:
            if self._url:
                self._send(self._url, turn)
        except AlertNotTaken as error:
            event(logger, "alert_not_sent", level=logging.ERROR, kind=turn.kind.value, error=str(error))
            return False
        return self._ledger.run(watch.alert_sent(turn))

    def _tell_past_redis(self, what: str, message: Message, lasted_seconds: float) -> bool:
        level = logging.WARNING if what == "raised" else logging.INFO
        event(logger, f"alert_{what}", level=level, kind=KIND, headline=message.headline)
        try:
            if self._url:
                post(
                    self._url.get_secret_value(),
                    body(KIND, what, message, lasted=_minutes(round(lasted_seconds * 1000))),
                )
        except AlertNotTaken as error:
            event(logger, "alert_not_sent", level=logging.ERROR, kind=KIND, error=str(error))
            return False
        return True


def _minutes(ms: int) -> str:
    return f"{ms / 60_000:.0f} min" if ms >= 60_000 else f"{max(0, ms) / 1000:.0f} s"
