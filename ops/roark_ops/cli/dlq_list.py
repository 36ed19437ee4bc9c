"""`roark-ingest dlq list`: dead letters as a table, as JSON lines, or as CSV; all but the table while they are read."""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from roark_ops.cli.output import print_json, print_line, print_table
from roark_ops.cli.running import say
from roark_ops.cli.words import ago, counted, iso, shown
from roark_ops.dead_letters import Cursor, DeadLetters
from roark_ops.finding import Filter
from roark_ops.grouping import Death
from roark_producer.lifecycle import State
from roark_producer.records import DeadLetter

_AT_ONCE = 1000
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def show_letters(
    desk: DeadLetters, chosen: Filter, state: State, *, limit: int | None, behind: Cursor | None, form: str
) -> None:
    """Print up to `limit` letters, or all; `form` is json, csv, or "" for a table. Say where they are cut."""
    pages = _Pages(desk, chosen, state, limit, behind)
    match form:
        case "json":
            for letter in pages.letters():
                print_json(letter_document(letter, state))
        case "csv":
            _print_csv(letter_document(letter, state) for letter in pages.letters())
        case _:
            _print_table(desk, chosen, state, list(pages.letters()), first=behind is None, cut=pages.rest is not None)
    sys.stdout.flush()
    if notice := desk.retention_notice(state):
        say(notice)
    if pages.rest:
        say(f"More of them follow. The next ones: --cursor '{pages.rest}'; all at once: --all")


def letter_document(letter: DeadLetter, state: State) -> dict[str, Any]:
    """Return a letter as `--json` prints it. Times in ISO 8601, null where there is none."""
    death = Death.of(letter)
    return {
        "call_id": letter.call_id,
        "state": state.value,
        "since": iso(letter.since_ms),
        "accepted": iso(letter.record.accepted_ms),
        "attempts": letter.record.attempts,
        "reason": death.reason,
        "status": death.status or None,
        "message": shown(death.message) or None,
        "parameter": shown(death.parameter) or None,
        "last_reason": death.last or None,
        "group": death.group,
        "assistant": shown(letter.assistant) or None,
        "audio_links_end": iso(letter.record.expires_ms),
        "edited": letter.edited,
    }


class _Pages:
    """Reads letters page by page, and knows where it stopped before the end: `rest`."""

    def __init__(
        self, desk: DeadLetters, chosen: Filter, state: State, limit: int | None, behind: Cursor | None
    ) -> None:
        self._desk, self._chosen, self._state = desk, chosen, state
        self._left = limit
        self.rest = behind

    def letters(self) -> Iterator[DeadLetter]:
        while self._left is None or self._left > 0:
            wanted = _AT_ONCE if self._left is None else min(_AT_ONCE, self._left)
            page = self._desk.page(self._chosen, limit=wanted, behind=self.rest, state=self._state)
            yield from page.letters
            self.rest = page.following
            if self._left is not None:
                self._left -= len(page.letters)
            if self.rest is None:
                return


def _print_csv(documents: Iterable[dict[str, Any]]) -> None:
    writer = None
    for document in documents:
        if writer is None:
            writer = csv.DictWriter(sys.stdout, list(document), lineterminator="\n")
            writer.writeheader()
        writer.writerow({name: _cell(value) for name, value in document.items()})


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _print_table(
    desk: DeadLetters, chosen: Filter, state: State, letters: Sequence[DeadLetter], *, first: bool, cut: bool
) -> None:
    now_ms, total = desk.counted(state)
    rows = [
        (
            letter.call_id,
            ago(letter.since_ms, now_ms),
            str(letter.record.attempts),
            letter.record.note,
            ("(edited) " if letter.edited else "") + _said(letter),
        )
        for letter in letters
    ]
    if rows:
        print_table(("call", state.value, "tries", "reason", "Roark said"), rows, right=frozenset({2}))
        print_line()
    _print_how_many(chosen, state, len(rows), total, first=first, cut=cut)
    if rows:
        print_line(f"Next: roark-ingest dlq {'groups' if state is State.DEAD else 'restore CALL_ID'}")


def _print_how_many(chosen: Filter, state: State, shown_: int, total: int, *, first: bool, cut: bool) -> None:
    if not first:
        print_line(f"{counted(shown_, 'more report')}.")
    elif cut:
        print_line(f"The first {shown_}{f' of {total}' if chosen.is_everything else ''}.")
    elif chosen.is_everything:
        print_line(f"{counted(shown_, 'report')} {state}." if shown_ else f"No {state} reports.")
    else:
        print_line(f"{shown_ or 'None'} of {counted(total, f'{state} report')} {'fit' if shown_ != 1 else 'fits'}.")


def _said(letter: DeadLetter) -> str:
    death = Death.of(letter)
    cause = death.last if death.last != death.reason else ""
    return shown(" ".join(filter(None, (cause, death.message, f"({death.parameter})" if death.parameter else ""))))
