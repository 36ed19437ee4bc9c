"""Reports as the ledger lists them, page by page; most of them dead letters. Format: `lua/desk/page.lua`."""

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any

import msgspec
from msgspec.structs import replace

from roark_ledger.lifecycle import State
from roark_ledger.places import UNCONFIRMED
from roark_ledger.records.record import Event, Record, parse_event, parse_history

_ENDS_AND_ATTEMPTS = frozenset({b"buried", b"poisoned", b"lost", b"set_aside", b"deferred", b"refused", b"reclaimed"})
_STARTS_ANEW = frozenset({b"replayed", b"replaced", b"revised"})
_BY_SINCE = frozenset({"dead", "discarded", "unconfirmed", "delivered"})
_ASSISTANT = b'"assistant":'
_NOTHING = b""
NO_CALL = "\0"
UNKNOWN = "unknown"
"""What `named` says of a call that the ledger has never seen."""


class DeadLetter(msgspec.Struct, frozen=True, gc=False):
    """A report as lists show it, in whatever place it stands: most are dead letters.

    `since_ms` is since when it is in its state, `score_ms` orders it in its `place`. `lines` is its history as it is
    kept, `named` the assistant that the report itself names, where that was looked for. `properties` are their JSON,
    b"" where there are none or they were not asked for. `edited` says that a person changed the report, and the
    original is kept. `packed` and `original` are the report and the one that was sent, where they were asked for.
    `spot` names it as the last one of a page, where its ID alone does not: among deliveries of several partitions.
    """

    call_id: str
    since_ms: int
    record: Record
    lines: bytes
    named: str = ""
    properties: bytes = b""
    edited: bool = False
    place: str = "dead"
    score_ms: int = 0
    packed: bytes = b""
    original: bytes = b""
    spot: str = ""

    @property
    def history(self) -> tuple[Event, ...]:
        """All that happened to it, read anew each time."""
        return parse_history(self.lines)

    @property
    def assistant(self) -> str:
        """Vapi's assistant as the worker noted it, or as the report names it; "" where neither is known."""
        return self.named or _noted_assistant(self.lines)

    @property
    def last(self) -> Event | None:
        """What brought it where it is: of a dead letter its end, else the last attempt; None where none is told."""
        return parse_event(line) if (line := self.last_line) else None

    @property
    def last_line(self) -> bytes:
        """The line of `last`, b"" where there is none."""
        for line in reversed(self.lines.splitlines()):
            name = line.split(b" ", 2)[1]
            if name in _ENDS_AND_ATTEMPTS:
                return line
            if name in _STARTS_ANEW and self.record.state is not State.DISCARDED:
                break
        return b""

    @property
    def state(self) -> str:
        """The state as it is shown: that of the record, but for deliveries that are unconfirmed."""
        return UNCONFIRMED if self.place == UNCONFIRMED else self.record.state.value

    @property
    def next_ms(self) -> int:
        """When it is tried again, or its lease ends; 0 where it stands for no time."""
        return self.score_ms if self.place in {"waiting", "uploading"} else 0

    def __repr__(self) -> str:
        # Reports, and what Roark said of them, are in no traceback.
        return f"DeadLetter({self.call_id!r})"


class LetterPage(msgspec.Struct, frozen=True):
    """Some of the reports in a place. `youngest_ms` bounds the pages that follow, which begin behind `last`, if any."""

    youngest_ms: int
    last: tuple[int, str] | None
    letters: tuple[DeadLetter, ...]

    @property
    def more(self) -> bool:
        """Whether another page may follow."""
        return self.last is not None


def nobody(packed: bytes) -> str:
    """Name no assistant."""
    return ""


def parse_page(
    place: str, reply: list[Any], *, whole: bool = False, assistant_of: Callable[[bytes], str] = nobody
) -> LetterPage:
    """Read the answer of `page.lua`. `assistant_of` names a packed report's; `whole` letters keep theirs."""
    youngest, more, ids, scores, records, histories, *beside = reply
    last = (int(scores[-1]), ids[-1].decode()) if more == 1 and ids else None
    edited, properties, packed, originals = (column or repeat(_NOTHING) for column in beside)
    rows = zip(ids, scores, records, histories, edited, properties, packed, originals, strict=False)
    letters = tuple(_letters(place, rows, assistant_of, whole=whole))
    return LetterPage(int(youngest), last, letters)


def parse_named(reply: list[Any]) -> list[DeadLetter | str]:
    """Read the answer of `named.lua`: a report in whatever state, or the word for a call that has none."""
    return [
        _named(call_id.decode(), text, lines, edited=edited == 1) if b" " in text else text.decode()
        for call_id, text, lines, edited in zip(*reply, strict=True)
    ]


def _named(call_id: str, text: bytes, lines: bytes, *, edited: bool) -> DeadLetter:
    record = Record.parse(text)
    return DeadLetter(call_id, record.since_ms, record, lines, edited=edited)


def _letters(
    place: str, rows: Iterator[Any], assistant_of: Callable[[bytes], str], *, whole: bool
) -> Iterator[DeadLetter]:
    by_score, parse = place in _BY_SINCE, Record.parse
    for call_id, score, text, lines, edited, properties, packed, original in rows:
        if not text:
            continue
        record = parse(text)
        yield DeadLetter(
            call_id.decode(),
            score if by_score else record.since_ms,
            record,
            lines,
            # A worker that dies with a report cannot note whose call it was, and of one never tried none is noted.
            (_noted_assistant(lines) or assistant_of(packed)) if packed and assistant_of is not nobody else "",
            properties,
            edited == 1,
            place,
            score,
            packed if whole else b"",
            original,
        )


class _Noted(msgspec.Struct, gc=False):
    assistant: Any = None


_noted = msgspec.json.Decoder(_Noted).decode


def _noted_assistant(lines: bytes) -> str:
    if _ASSISTANT not in lines:
        return ""
    for line in reversed(lines.splitlines()):
        if _ASSISTANT in line and (assistant := _noted(line.split(b" ", 2)[2]).assistant) is not None:
            return str(assistant)
    return ""


def merged(place: str, pages: Sequence[LetterPage]) -> LetterPage:
    """Return one page of what stands in a place of several partitions from one of each, in their order.

    It ends where the first of theirs does: what follows there may come before what others have behind it. Deliveries of
    one millisecond have no order but that of each list, so they go by partition; `behind_in` reads where such a page
    ended.
    """
    rows: list[tuple[tuple[int, bytes | int], tuple[int, str], DeadLetter | None]] = []
    ends: list[tuple[int, bytes | int]] = []
    for number, page in enumerate(pages):

        def position(score_ms: int, call_id: str, number: int = number) -> tuple[int, bytes | int]:
            return (-score_ms, number) if place == "delivered" else (score_ms, call_id.encode())

        for each in page.letters:
            letter = replace(each, spot=f"{number}/{each.call_id}") if place == "delivered" else each
            rows.append((position(each.score_ms, each.call_id), (each.score_ms, letter.spot or each.call_id), letter))
        if page.last:
            told = f"{number}/{page.last[1]}" if place == "delivered" else page.last[1]
            # It may be that of a report that is not on its page, for which it stands here.
            rows.append((position(*page.last), (page.last[0], told), None))
            ends.append(position(*page.last))
    rows.sort(key=lambda row: row[0])
    whole = [row for row in rows if not ends or row[0] <= min(ends)]
    last = whole[-1][1] if ends else None
    return LetterPage(max(page.youngest_ms for page in pages), last, tuple(each for _, _, each in whole if each))


def behind_in(partition: int, behind: tuple[int, str]) -> tuple[int, str]:
    """Return where a partition goes on with its deliveries behind a page of all of them."""
    score_ms, told = behind
    first, _, call_id = told.partition("/")
    # Where the ledger was one when that page was read, all of its last millisecond is shown again.
    number = int(first) if call_id and first.isdecimal() else -1
    if number == partition:
        return score_ms, call_id
    # Behind an ID that nobody has, a list goes on with what is older than that millisecond.
    return (score_ms + 1 if partition > number else score_ms), NO_CALL
