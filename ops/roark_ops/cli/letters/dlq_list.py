"""Lists of reports, of whatever states: as a table, as JSON lines, or as CSV; all but the table while they are read."""

import csv
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import watch
from roark_ledger.records.letters import DeadLetter
from roark_ledger.records.snapshot import Snapshot
from roark_ops.cli.terminal.output import print_json, print_line, print_table
from roark_ops.cli.terminal.running import say
from roark_ops.cli.terminal.words import ago, counted, iso, shown
from roark_ops.desk.finding import Filter
from roark_ops.desk.grouping import Death
from roark_ops.desk.pages import Cursor, Pages

# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def show_letters(
    ledger: Ledger,
    chosen: Filter,
    states: Sequence[str],
    *,
    limit: int | None,
    behind: Cursor | None,
    form: str,
    show_table: "Callable[[Shown], object]",
) -> None:
    """Print up to `limit` reports, or all; `form` is json, csv, or "" for a table. Say where they are cut."""
    walk = Pages(ledger).walk(chosen, states, behind, limit=limit)
    match form:
        case "json":
            for letter in walk:
                print_json(letter_document(letter))
        case "csv":
            _print_csv(map(letter_document, walk))
        case _:
            letters = list(walk)
            show_table(Shown(ledger.run(watch.snapshot()), chosen, letters, behind is None, walk.rest is not None))
    sys.stdout.flush()
    if rest := walk.rest:
        say(f"There are more. Next page: --cursor '{rest}'. Everything: --all")


def letter_document(letter: DeadLetter) -> dict[str, Any]:
    """Return a letter as `--json` prints it. Times in ISO 8601, null where there is none."""
    death = Death.of(letter)
    return {
        "call_id": letter.call_id,
        "state": letter.state,
        "since": iso(letter.since_ms),
        "accepted": iso(letter.record.accepted_ms),
        "next": iso(letter.next_ms),
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


_NAMES = {"dead": "dead letter", "discarded": "discarded letter"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What a table shows: these reports, of all that there are, from the `first` one on, and whether it is `cut`."""

    snapshot: Snapshot
    chosen: Filter
    letters: Sequence[DeadLetter]
    first: bool
    cut: bool

    def print_how_many(self, total: int, kind: str) -> None:
        """Say how many were shown of `total` reports of a kind, "" for reports of several kinds."""
        number, report = len(self.letters), _NAMES.get(kind, f"{kind} report".strip())
        if not self.first:
            print_line(f"{counted(number, 'more report')}.")
        elif self.cut:
            print_line(f"The first {number}{f' of {total}' if self.chosen.is_everything else ''}.")
        elif self.chosen.is_everything:
            print_line(f"{counted(number, report)}." if number else f"No {report}s.")
        else:
            matches = (
                f"{counted(number, report)} match{'es' if number == 1 else ''}" if number else f"No {report}s match"
            )
            print_line(f"{matches} ({total} in total).")


def _print_csv(documents: Iterable[dict[str, Any]]) -> None:
    writer = None
    for document in documents:
        if writer is None:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(document)
        writer.writerow(map(_cell, document.values()))


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def show_dead(shown: Shown, state: State) -> None:
    """Print dead letters, or the discarded."""
    rows = [
        (
            letter.call_id,
            ago(letter.since_ms, shown.snapshot.now_ms),
            str(letter.record.attempts),
            letter.record.note,
            ("(edited) " if letter.edited else "") + said(letter),
        )
        for letter in shown.letters
    ]
    if rows:
        print_table(("call", state.value, "attempts", "reason", "Roark's answer"), rows, right=frozenset({2}))
        print_line()
    shown.print_how_many(shown.snapshot.states[state], state.value)
    if rows:
        print_line(f"Next: roark-ingest dlq {'groups' if state is State.DEAD else 'restore CALL_ID'}")


def said(letter: DeadLetter) -> str:
    """Return what Roark said of a report at last, or whoever set it aside."""
    death = Death.of(letter)
    cause = death.last if death.last != death.reason else ""
    return shown(" ".join(filter(None, (cause, death.message, f"({death.parameter})" if death.parameter else ""))))
