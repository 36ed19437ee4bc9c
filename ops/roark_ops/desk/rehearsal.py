"""Sends dead letters and unconfirmed reports to a sandbox or a staging Roark, and tells what would become of them.

    rehearsal = Rehearsal(ledger, url="https://staging.example", token=None)
    groups = rehearsal.run(call_ids)

The ledger stays as it is. The bytes are those that a replay would send; the answers are judged as a worker judges
them. Some tens are under way at a time. Our own token never goes to another host: without one of its own the rehearsal
sends a word that is none.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice

from msgspec.structs import replace
from pydantic import SecretStr

from roark_ledger.errors import ConfigurationError
from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.packing import DamagedPayload, unpack
from roark_ledger.places import UNCONFIRMED
from roark_ledger.records.letters import DeadLetter
from roark_ledger.records.record import Entry
from roark_ledger.routes import Route
from roark_ledger.urls import split_url, without_secrets
from roark_ops.desk.dead_letters import DeadLetters
from roark_ops.desk.grouping import Death, fold
from roark_worker.answers.verdict import Delivered, judge
from roark_worker.settings import WorkerSettings, is_usable_token
from roark_worker.upload.call_route import NotForThisRoute
from roark_worker.upload.roark import Roark, Token, UploadFailed, upload_body

NO_TOKEN = "rehearsal-without-a-token"  # noqa: S105 that is what it says
MOST_AT_ONCE = 32


class RehearsalOutcome(StrEnum):
    """What would become of a letter: delivered, or failed for the reason that it died of, or for another one."""

    DELIVERED = "would be delivered"
    SAME = "fails the same"
    DIFFERENT = "fails differently"
    GONE = "is no dead letter, and not unconfirmed"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One letter's rehearsal. `reason`, `status` and `message` are those of a failure, ids and numbers folded."""

    call_id: str
    group: str
    outcome: RehearsalOutcome
    reason: str = ""
    status: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class GroupRehearsal:
    """What became of the letters of one group; `now` are the failures of another kind, by reason and message."""

    name: str
    reason: str
    message: str
    outcomes: Counter[RehearsalOutcome]
    now: Counter[str]


class Rehearsal:
    """Uploads to `url` with `token`. `settings` are the workers', for the path, the timeouts and the transport.

    Raises ConfigurationError where the URL cannot be used, is the production Roark's, or the token cannot be sent.
    """

    def __init__(self, ledger: Ledger, *, url: str, token: SecretStr | None, settings: WorkerSettings) -> None:
        if _host(url) == _host(settings.roark_base_url):
            place = without_secrets(url)
            raise ConfigurationError(
                f"--to {place}: the workers upload there, so this would not be a rehearsal. Leave out --to"
            )
        if token and not is_usable_token(token.get_secret_value()):
            raise ConfigurationError("the token for --to must be printable ASCII without spaces")
        self._desk = DeadLetters(ledger, by="")
        self._token = token or SecretStr(NO_TOKEN)
        self._settings = WorkerSettings(
            roark_base_url=url,
            roark_api_bearer_token=self._token,
            roark_project_id="",
            upload_path=settings.upload_path,
            transport=settings.transport,
            connect_seconds=settings.connect_seconds,
            upload_seconds=settings.upload_seconds,
            quick_tries=settings.quick_tries,
        )
        self._route = settings.route
        self._now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def run(self, call_ids: Sequence[str], progress: Callable[[int], None] = lambda _: None) -> list[GroupRehearsal]:
        """Rehearse these letters; return what became of each group, the largest first.

        Raises LedgerUnavailable when Redis is away.
        """
        return asyncio.run(self._run(call_ids, progress))

    async def _run(self, call_ids: Sequence[str], progress: Callable[[int], None]) -> list[GroupRehearsal]:
        groups: dict[str, GroupRehearsal] = {}
        async with Roark(self._settings, Token(self._token)) as roark:
            for done, batch in enumerate(_batches(call_ids), start=1):
                entries = await asyncio.to_thread(lambda some: list(self._desk.show_all(some)), batch)
                found = await asyncio.gather(*(self._one(roark, *pair) for pair in zip(batch, entries, strict=True)))
                for death, one in found:
                    _add(groups, death, one)
                progress(min(done * MOST_AT_ONCE, len(call_ids)))
        return sorted(groups.values(), key=lambda group: -group.outcomes.total())

    async def _one(self, roark: Roark, call_id: str, entry: Entry | None) -> tuple[Death, Rehearsed]:
        if entry is None or entry.record is None or not (entry.record.state is State.DEAD or entry.unconfirmed_ms):
            return Death("", 0, "", "", ""), Rehearsed(call_id, "", RehearsalOutcome.GONE)
        death = Death.of(DeadLetter(call_id, entry.record.since_ms, entry.record, entry.lines))
        if entry.unconfirmed_ms:
            death = replace(death, reason=UNCONFIRMED)
        return death, await self._upload(roark, death, entry, revision=entry.record.revision)

    async def _upload(self, roark: Roark, death: Death, entry: Entry, *, revision: bool) -> Rehearsed:
        route: Route = "call" if entry.by_call_route or (entry.free_route and self._route == "call") else "vapi"
        try:
            answer = await roark.upload(upload_body(unpack(entry.packed), revision=revision, route=route), route=route)
        except NotForThisRoute as error:
            return _failed(death, entry.call_id, error.code, 0, str(error))
        except DamagedPayload:
            return _failed(death, entry.call_id, "damaged", 0, "")
        except UploadFailed as error:
            return _failed(death, entry.call_id, error.reason, 0, error.detail)
        verdict = judge(answer, self._now(), route)
        if isinstance(verdict, Delivered):
            return Rehearsed(entry.call_id, death.group, RehearsalOutcome.DELIVERED)
        return _failed(death, entry.call_id, verdict.reason, verdict.status, verdict.message)


def _failed(death: Death, call_id: str, reason: str, status: int, message: str) -> Rehearsed:
    # What ended it may be "exhausted"; the last attempt's own reason is what can be compared.
    before = (death.last or death.reason, death.status, fold(death.message))
    is_same = before == (reason, status, fold(message))
    outcome = RehearsalOutcome.SAME if is_same else RehearsalOutcome.DIFFERENT
    return Rehearsed(call_id, death.group, outcome, reason, status, fold(message))


def _add(groups: dict[str, GroupRehearsal], death: Death, one: Rehearsed) -> None:
    if one.group not in groups:
        folded = death.folded()
        groups[one.group] = GroupRehearsal(one.group, folded.reason, folded.message, Counter(), Counter())
    groups[one.group].outcomes[one.outcome] += 1
    if one.outcome is RehearsalOutcome.DIFFERENT:
        groups[one.group].now[f"{one.reason} {one.message}".strip()] += 1


def _batches(call_ids: Sequence[str]) -> Iterator[list[str]]:
    remaining = iter(call_ids)
    while batch := list(islice(remaining, MOST_AT_ONCE)):
        yield batch


def _host(url: str) -> tuple[str, int | None]:
    try:
        parts = split_url(url)
    except ValueError as error:
        raise ConfigurationError(f"--to: {error}") from None
    return (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}.get(parts.scheme)
