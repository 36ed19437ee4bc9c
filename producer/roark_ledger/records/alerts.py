"""Alerts as the ledger keeps them: one of each kind at a time, for all workers together.

    raised ──(the cause is gone for a while)──▶ recovered ──(again)──▶ raised

Each change owes somebody a message. `alerts.lua` gives one worker at a time the turn to send it; a worker that died
with it in hand loses the turn after a lease, so a message may come twice and is never lost. See
`roark_worker.alerts.alerting`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec


class AlertKind(StrEnum):
    """What there may be an alert about: a closed set, for the label of a metric."""

    DEAD_LETTERS = "dead_letters"
    DEAD_LETTERS_GROWING = "dead_letters_growing"
    LANE_HELD = "lane_held"
    BREAKER_OPEN = "breaker_open"
    AUDIO_ENDING = "audio_ending"
    RETENTION = "retention"
    AUDIT_BROKEN = "audit_broken"
    SPOOL_IN_USE = "spool_in_use"
    MEMORY_SHORT = "memory_short"
    UNCONFIRMED = "unconfirmed"
    REJECTED_FILLING = "rejected_filling"
    FALLING_BEHIND = "falling_behind"
    CALLS_MISSING = "calls_missing"
    RECONCILE_STALE = "reconcile_stale"
    LEDGER_LOST = "ledger_lost"
    SPOOL_UNREADABLE = "spool_unreadable"
    RECEIPTS_MISSING = "receipts_missing"
    PARTITION_AWAY = "partition_away"


@dataclass(frozen=True, slots=True)
class Message:
    """What an alert says: one line, the explanation, and the command to type. No personal data, no secrets.

    `cause` is a word: with another one than were told of so far, the alert is sent anew.
    """

    headline: str
    explanation: str
    command: str
    cause: str = ""

    def encode(self) -> bytes:
        """Return it as the ledger keeps it."""
        return msgspec.json.encode(self)


@dataclass(frozen=True, slots=True)
class Alert:
    """One kind's latest alert. Times are Unix ms, 0 where it did not happen.

    `owed` is the message that is still to be sent: `raised`, `recovered` or "". `tries` is how often that was begun.
    """

    kind: AlertKind
    active: bool
    since_ms: int
    ended_ms: int
    told_ms: int
    owed: str
    tries: int
    message: Message


@dataclass(frozen=True, slots=True)
class Turn:
    """A message that this worker is to send now, and by which `token` it says that it did."""

    kind: AlertKind
    what: str
    token: int
    since_ms: int
    ended_ms: int
    message: Message


@dataclass(frozen=True, slots=True)
class NotedSpool:
    """What a webhook said of its spool: whose, how many bytes wait there, since when, and when it said so."""

    who: str
    bytes: int
    since_ms: int
    heard_ms: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What alerts are judged by beside the snapshot.

    `deaths` came lately, `newest_reason` is the code of the last one. `fading` dead letters, and `held_up` ready
    reports, have links to their audio that end soon.
    """

    deaths: int
    newest_reason: str
    fading: int
    held_up: int
    spools: tuple[NotedSpool, ...]


def gauges(alerts: Iterable[Alert]) -> dict[AlertKind, int]:
    """Return 1 for each kind that is active, 0 for every other one."""
    active = {alert.kind for alert in alerts if alert.active}
    return {kind: int(kind in active) for kind in AlertKind}


def parse_alerts(reply: list[bytes]) -> list[Alert]:
    """Read the alerts' hash; kinds that another version knows are left out."""
    return [
        _alert(AlertKind(kind.decode()), msgspec.json.decode(text))
        for kind, text in zip(reply[::2], reply[1::2], strict=True)
        if kind.decode() in set(AlertKind)
    ]


def parse_turns(reply: list[list[Any]]) -> list[Turn]:
    """Read the answer of `alerts.lua`."""
    return [
        Turn(AlertKind(kind.decode()), what.decode(), int(token), int(since), int(ended), _message(text))
        for kind, what, token, since, ended, text in reply
    ]


def parse_facts(reply: list[Any]) -> Facts:
    """Read the answer of `alert_facts.lua`."""
    deaths, newest, fading, held_up, spools = reply
    notes = []
    for who, text in zip(spools[::2], spools[1::2], strict=True):
        size, since, heard = map(int, text.split())
        notes.append(NotedSpool(who.decode(), size, since, heard))
    return Facts(int(deaths), newest.decode(), int(fading), int(held_up), tuple(notes))


def _alert(kind: AlertKind, told: dict[str, Any]) -> Alert:
    def number(name: str) -> int:
        return int(told.get(name, 0))

    return Alert(
        kind=kind,
        active=told["phase"] == "raised",
        since_ms=number("since"),
        ended_ms=number("ended"),
        told_ms=number("told"),
        owed=str(told.get("owed", "")),
        tries=number("tries"),
        message=_message(told["message"].encode()),
    )


def _message(text: bytes) -> Message:
    return msgspec.json.decode(text, type=Message)


def summed_facts(all_facts: Sequence[Facts]) -> Facts:
    """Return what alerts are judged by from several partitions and their home, which is the last one."""
    *parts, home = all_facts
    return Facts(
        deaths=sum(part.deaths for part in parts),
        newest_reason=next((part.newest_reason for part in parts if part.deaths and part.newest_reason), "")
        or next((part.newest_reason for part in parts if part.newest_reason), ""),
        fading=sum(part.fading for part in parts),
        held_up=sum(part.held_up for part in parts),
        spools=home.spools,
    )
