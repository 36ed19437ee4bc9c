"""Moves of a person at the desk: dead letters, the rejected bin, erasing, the logbook, repairs."""

import hashlib
import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import msgspec

from roark_ledger.moves.goes import Everywhere, First, Left
from roark_ledger.moves.lane import forget_refusals
from roark_ledger.moves.operation import Operation, for_call, for_calls, parse_word, parse_words
from roark_ledger.records.letters import DeadLetter, LetterPage, behind_in, merged, nobody, parse_named, parse_page
from roark_ledger.records.logbook import Action, Deed, parse_deed, stream_order
from roark_ledger.records.rejected import Rejected, parse_rejected
from roark_ledger.routes import Route
from roark_ledger.tombstones import pads


def edit(call_id: str, *, packed: bytes, expires_ms: int, edited_from: bytes, detail: bytes) -> Operation[str]:
    """Put an edited report in a dead letter's place.

    `edited_from` is the packed report that was edited. Returns `edited`, `changed` where another one lies there by now,
    or the state that the call is in instead.
    """
    return for_call("edit", call_id, (call_id, _sha1(edited_from), expires_ms, detail, packed), parse_word)


def unedit(call_id: str, *, expires_ms: int, seen: bytes, detail: bytes) -> Operation[str]:
    """Put the report as it was sent back.

    `seen` is the packed report that is there. Returns `unedited`, `unchanged` where nobody edited it, `changed` where
    another report lies there by now, or the state that the call is in instead.
    """
    return for_call("unedit", call_id, (call_id, _sha1(seen), expires_ms, detail), parse_word)


def set_aside(call_ids: Iterable[str], *, detail: bytes) -> Operation[list[str]]:
    """Make dead letters of reports that wait; return `set aside` or the state each call is in instead."""
    return for_calls("set_aside", (detail,), ((each,) for each in call_ids), parse_words)


def discard(call_ids: Iterable[str], *, detail: bytes) -> Operation[list[str]]:
    """Put dead letters aside, drop the payloads of unconfirmed deliveries; return `discarded` or the state instead."""
    return for_calls("discard", (detail,), ((each,) for each in call_ids), parse_words)


def confirm(call_ids: Iterable[str], *, detail: bytes) -> Operation[list[str]]:
    """Take unconfirmed deliveries for good; return `confirmed` or the state each call is in instead."""
    return for_calls("confirm", (detail,), ((each,) for each in call_ids), parse_words)


def resend(call_ids: Iterable[str], *, detail: bytes) -> Operation[list[str]]:
    """Send unconfirmed deliveries again; return `replayed` or the state each call is in instead."""
    return for_calls("resend", (detail,), ((each,) for each in call_ids), parse_words)


def restore(call_ids: Iterable[str], *, detail: bytes) -> Operation[list[str]]:
    """Bring discarded reports back to the dead letters; return `restored` or the state instead."""
    return for_calls("restore", (detail,), ((each,) for each in call_ids), parse_words)


@dataclass(frozen=True, slots=True)
class Erased:
    """What was removed of a call. `state` is the one it was in, `unknown` or `erased`; `tombstone` is what is left."""

    state: str
    tombstone: str
    removed: tuple[str, ...]


def erase(call_id: str, *, key: bytes, who: bytes) -> Operation[Erased]:
    """Remove all that is known of a call. `key`, of 32 random bytes, is for a ledger that has erased nothing yet."""

    def parse(reply: list[bytes]) -> Erased:
        state, tombstone, *removed = parse_words(reply)
        return Erased(state, tombstone, tuple(removed))

    args = (*pads(key), who, call_id)
    at_its_partition = for_call("erase", call_id, args, parse)
    return Operation("erase", args, parse, First(forget_refusals([call_id]), lambda _: at_its_partition))


def erase_rejected(digests: Iterable[str], *, key: bytes, who: bytes) -> Operation[list[str]]:
    """Remove entries of the rejected bin for good and refuse their content later; return their tombstones."""
    return Operation("erase_rejected", (*pads(key), who, *digests), parse_words)


def erased_among(call_ids: Iterable[str]) -> Operation[list[str]]:
    """Say which calls were erased: the tombstone of each, or an empty text."""
    return for_calls("erased_among", (), ((each,) for each in call_ids), parse_words)


def copy_deeds(*, after: str, most: int, changed: Iterable[tuple[str, bytes, str]] = ()) -> Operation[tuple[int, str]]:
    """Copy a page of the logbook behind the line `after` ("": from the beginning), some of its lines changed.

    `changed` are a line's id, who (JSON) and calls. Returns how many lines, -1 where somebody else copies, and the
    id of the last one.
    """
    args = tuple(each for line in changed for each in line)
    return Operation("copy_deeds", (after, most, *args), lambda reply: (int(reply[0]), reply[1].decode()))


def swap_deeds(last: str) -> Operation[bool]:
    """Put the copy in the logbook's place where the line `last` is both's last; say whether it is."""
    return Operation("swap_deeds", (last,), bool)


def mask_job(where: str, field: str, *, seen: bytes, instead: bytes) -> Operation[bool]:
    """Write what is told of a replay job (`live` or `past`) anew, where it still reads as `seen`."""
    return Operation("mask_job", (where, field, _sha1(seen), instead), bool)


def _sha1(packed: bytes) -> str:
    return hashlib.sha1(packed, usedforsecurity=False).hexdigest()


Reports = Literal["none", "unnamed", "all"]
_LEFT_OF_PAGE: Left[LetterPage] = Left(
    lambda page: [letter.call_id for letter in page.letters],
    lambda page, some: msgspec.structs.replace(
        page, letters=tuple(letter for letter in page.letters if letter.call_id in some)
    ),
)
# They are left out by their number, so each keeps its row.
_LEFT_OF_ROWS: Left[list[tuple[str, int]]] = Left(
    lambda rows: [call_id for call_id, _ in rows],
    lambda rows, some: [(call_id if call_id in some else "", score) for call_id, score in rows],
)


def page(
    *,
    most: int,
    place: str = "dead",
    oldest_ms: int = 0,
    youngest_ms: int = 0,
    behind: tuple[int, str] | None = None,
    properties: bool = False,
    reports: Reports = "none",
    assistant_of: Callable[[bytes], str] = nobody,
) -> Operation[LetterPage]:
    """A page of the reports that stand in a place, in its order; the place `delivered` is the latest first.

    It has at most so many of each partition: those that were read beside the others are not read again.
    `behind` is the score and the id of the last one of the page before, `youngest_ms` what that page said. `reports`
    says which are read: `all`, to come packed, with the originals of edited ones; or those whose assistant nobody has
    noted, for `assistant_of` to name it.
    """

    def parse(reply: list[Any]) -> LetterPage:
        return parse_page(place, reply, whole=reports == "all", assistant_of=assistant_of)

    def at(partition: int, _: int) -> Operation[LetterPage]:
        return asked(behind_in(partition, behind) if behind and place == "delivered" else behind)

    def asked(behind: tuple[int, str] | None) -> Operation[LetterPage]:
        score, call_id = behind or ("", "")
        args = (place, oldest_ms, youngest_ms, score, call_id, most, int(properties), reports)
        goes = Everywhere(lambda pages: merged(place, pages), instead=at, left=_LEFT_OF_PAGE)
        return Operation("page", args, parse, goes)

    return asked(behind)


def named(call_ids: Iterable[str]) -> Operation[list[DeadLetter | str]]:
    """Calls by name, as lists show them, whatever states they are in; `erased` or `unknown` where nothing is there."""
    return for_calls("named", (), ((each,) for each in call_ids), parse_named)


def standing(
    *, place: str = "dead", from_score: int = 0, leave_out: int = 0, most: int
) -> Operation[list[tuple[str, int]]]:
    """The ids and scores of reports in a place, in its order; cheap, for who knows the reports already.

    The next page begins at the last one's score, and leaves out as many as came with that score. An empty id stands
    for a report that is only being moved away from there.
    """

    def parse(reply: list[bytes]) -> list[tuple[str, int]]:
        return [(call_id.decode(), int(float(score))) for call_id, score in zip(reply[::2], reply[1::2], strict=True)]

    def join(answers: Sequence[list[tuple[str, int]]]) -> list[tuple[str, int]]:
        rows = heapq.merge(*answers, key=lambda row: (row[1], row[0].encode()))
        return list(islice(rows, leave_out, leave_out + most))

    whole = Operation("standing", (place, from_score, 0, leave_out + most), parse)
    goes = Everywhere(join, instead=lambda *_: whole, left=_LEFT_OF_ROWS)
    return Operation("standing", (place, from_score, leave_out, most), parse, goes)


def rejected_page(*, first: int, most: int) -> Operation[list[Rejected]]:
    """A page of the rejected bin, oldest first."""
    return Operation("rejected", (first, most), lambda rows: [parse_rejected(row) for row in rows])


_UNREJECTED = {
    Action.REJECTED_RETRY: "rejected_retried",
    Action.REJECTED_DISCARD: "rejected_discarded",
}


def unreject(digests: Iterable[str], *, action: Action, who: bytes) -> Operation[int]:
    """Take entries out of the rejected bin; return how many were there. `who` is made by `logbook.doer`."""
    return Operation("unreject", (_UNREJECTED[action], action.value, who, *digests), int)


def log_deed(action: Action, *, who: bytes, count: int = 0, calls: Iterable[str] = ()) -> Operation[str]:
    """Write what somebody is about to do into the logbook; return the line's id. `who` is made by `logbook.doer`.

    For what takes more than one script: those that act write their own line.
    """
    return Operation("log_deed", (action.value, who, count, *calls), lambda reply: str(reply.decode()))


def deeds_page(*, most: int, after: str = "", newest_first: bool = False) -> Operation[list[Deed]]:
    """A page of the logbook, behind the line with the id `after`."""
    order = "newest" if newest_first else "oldest"

    def join(answers: Sequence[list[Deed]]) -> list[Deed]:
        deeds = sorted((deed for answer in answers for deed in answer), key=stream_order, reverse=newest_first)
        # Lines of several partitions may have one id, behind which the next page begins.
        after = next((n for n in range(most, len(deeds)) if deeds[n].place != deeds[n - 1].place), len(deeds))
        return deeds[:after]

    def parse(rows: list[list[Any]]) -> list[Deed]:
        return [parse_deed(row) for row in rows]

    return Operation("deeds", (order, after, most), parse, Everywhere(join, home_too=True))


def trim_deeds(*, before_ms: int, most: int, who: bytes) -> Operation[int]:
    """Remove up to `most` (of at most 5000) of the logbook's lines from before a time; return how many are gone."""
    return Operation("trim_deeds", (before_ms, most, who), int, Everywhere(sum, home_too=True))


def settle_promises(kind: str, *, who: bytes) -> Operation[int]:
    """Say that what is `lost`, or `unread`, will not come back; return how many entries that were."""
    return Operation("settle", (kind, who), lambda reply: len(reply) // 2, Everywhere(sum, home_too=True))


def free_route(call_ids: Iterable[str], *, detail: bytes) -> Operation[list[str]]:
    """Let dead letters go by any of Roark's ways in; return `freed` or the state each call is in instead."""
    return for_calls("free_route", (detail,), ((each,) for each in call_ids), parse_words)


def switch_route(route: Route | None, *, who: bytes) -> Operation[str]:
    """Send reports by one of Roark's ways in from now on; None: as the workers are set. Return what was said before."""
    return Operation("route", (route or "", who), bytes.decode)
