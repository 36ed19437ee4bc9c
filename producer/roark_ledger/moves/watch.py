"""Moves that look at the ledger as a whole or at one call, and the alerts and memories that come of looking."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from roark_ledger.moves.goes import HOME, ByCall, Everywhere, Places, as_far_as_all, as_it_is, one_after_another
from roark_ledger.moves.operation import Argument, Operation, for_call, for_calls
from roark_ledger.moves.upkeep import _CREW_PATIENCE_MS
from roark_ledger.records.alerts import AlertKind, Facts, Message, Turn, parse_facts, parse_turns, summed_facts
from roark_ledger.records.lane import LaneNews, parse_lane_news
from roark_ledger.records.promises import Remembered, parse_remembered
from roark_ledger.records.record import Entry, parse_entries
from roark_ledger.records.setup import Setup, parse_setup
from roark_ledger.records.snapshot import Snapshot, parse_snapshot
from roark_ledger.records.sums import summed, without


def snapshot() -> Operation[Snapshot]:
    """Everything that `status` shows."""
    return Operation("snapshot", (), parse_snapshot, Everywhere(summed, home_too=True, without=without))


def lane_news(*, again_ms: int) -> Operation[LaneNews | None]:
    """How the lane is, if it is the caller's turn to show that; None where it is not."""
    return Operation("lane_news", (again_ms,), parse_lane_news)


def look(call_id: str) -> Operation[Entry | None]:
    """Everything that is known of one call; None when the ledger has never seen it."""
    return for_call("look", call_id, (call_id,), lambda reply: parse_entries([call_id], reply)[0])


def look_at(call_ids: Sequence[str]) -> Operation[list[Entry | None]]:
    """The same of the first of these calls: of as many as one script may read, but of one at least."""

    def some(places: Places) -> Operation[list[Entry | None]]:
        return look_at([call_ids[place] for place in places])

    return Operation(
        "look", tuple(call_ids), lambda reply: parse_entries(call_ids, reply), ByCall(call_ids, some, as_far_as_all)
    )


def crew() -> Operation[dict[str, Setup]]:
    """How the workers that live are set up, by their names."""

    def parse(reply: list[bytes]) -> dict[str, Setup]:
        named = zip(reply[::2], reply[1::2], strict=True)
        return {name.decode(): parse_setup(b"0 0 0 " + facts) for name, facts in named}

    return Operation("crew", (_CREW_PATIENCE_MS,), parse)


def setups() -> Operation[list[Setup]]:
    """How the workers were set up, the oldest first."""
    return Operation("setups", (), lambda lines: [parse_setup(line) for line in lines])


def alert_facts(*, lately_ms: int, soon_ms: int) -> Operation[Facts]:
    """What alerts are judged by beside the snapshot: recent deaths, audio that ends soon, spools in use."""
    goes = Everywhere(summed_facts, home_too=True, without=as_it_is)
    return Operation("alert_facts", (lately_ms, soon_ms), parse_facts, goes)


def take_alerts(
    causes: Mapping[AlertKind, Message], *, lease_ms: int, calm_ms: int, repeat_ms: int, may_send: bool
) -> Operation[list[Turn]]:
    """Take note of what there is cause for; return the messages that are the caller's turn to send."""
    args: list[Argument] = [lease_ms, calm_ms, repeat_ms, int(may_send)]
    for kind in AlertKind:
        args += (kind.value, causes[kind].encode() if kind in causes else b"")
    return Operation("alerts", tuple(args), parse_turns)


def alert_sent(turn: Turn) -> Operation[bool]:
    """Take note that a message was sent; False where the turn was lost meanwhile."""
    return Operation("alert_sent", (turn.kind.value, turn.token), bool)


def remember(keeper: str, known: Remembered, *, fresh_id: str) -> Operation[Remembered]:
    """Lay what is remembered of the ledger beside it; return what is to be remembered from now on."""
    args: list[Argument] = [fresh_id, keeper, known.ledger, known.accepted, known.open, known.number, known.seen_ms]
    for loss in known.losses:
        args += loss

    def at(where: int, _: int) -> Operation[Remembered]:
        part = replace(known, parts=()) if where == HOME else known.part(where)
        return remember(keeper, part, fresh_id=fresh_id if where == HOME else f"{fresh_id}-{where}")

    def join(answers: Sequence[Remembered]) -> Remembered:
        return replace(answers[-1], parts=tuple(answers[:-1]))

    def follow(seen: Remembered) -> Generator[Operation[Any], Any, Remembered]:
        yield keep_partitions(len(seen.parts))
        return seen

    goes = Everywhere(join, home_too=True, instead=at, then=follow)
    return Operation("remember", tuple(args), parse_remembered, goes)


def keep_partitions(number: int) -> Operation[bool]:
    """Write down at home how many partitions there are, where that is lost; return whether it was."""
    return Operation("keep_partitions", (number,), bool)


@dataclass(frozen=True, slots=True)
class Broken:
    """A call that is not in exactly one place; see `verify.lua` for the faults."""

    call_id: str
    state: str
    faults: tuple[str, ...]


def verify(call_ids: Iterable[str], *, listed: bool = False) -> Operation[list[Broken]]:
    """Say which of these calls are not in exactly one place; `listed` ones are on the list of the delivered."""

    def parse(rows: list[list[bytes]]) -> list[Broken]:
        words = ([word.decode() for word in row] for row in rows)
        return [Broken(call_id, state, tuple(faults)) for call_id, state, *faults in words]

    return for_calls("verify", (int(listed),), ((each,) for each in call_ids), parse, one_after_another)
