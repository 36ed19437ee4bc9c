"""`roark-ingest list`: reports of any state. `dlq list` shows the dead letters in the same way."""

from typing import TYPE_CHECKING, Annotated

import typer

from roark_ledger.ids import as_argument
from roark_ops.cli.letters.dlq import All, AsCsv, From, Limit, how_to_list
from roark_ops.cli.letters.filtering import filtered
from roark_ops.cli.terminal.options import AsJson
from roark_ops.cli.terminal.running import USAGE, fail

if TYPE_CHECKING:
    from roark_ops.cli.letters.dlq_list import Shown
    from roark_ops.desk.finding import Filter

States = Annotated[
    list[str],
    typer.Option(
        "--state",
        metavar="STATE",
        help="ready, uploading, waiting, unconfirmed, dead, discarded or delivered (latest first). Repeatable "
        "(default: all but delivered and discarded).",
        show_default=False,
    ),
]


@filtered
def list_(
    *,
    states: States = [],  # noqa: B006 Typer copies it
    chosen: "Filter",
    limit: Limit = None,
    all_: All = False,
    cursor: From = "",
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """List reports in any state: call, state, since when, why, and the next attempt.

    The list shows the state at the start: later arrivals are left out, and nothing appears twice. --since and --until
    mean the time when a report entered its state.
    """
    from roark_ops.access import Access
    from roark_ops.cli.letters.dlq_list import show_letters

    limit, form, behind = how_to_list(limit, cursor, all_=all_, as_csv=as_csv, as_json=as_json)
    wanted = _read_states(states)
    with Access.from_env() as access:
        show_letters(
            access.ledger,
            chosen,
            wanted,
            limit=limit,
            behind=behind,
            form=form,
            show_table=lambda shown: _show_table(shown, wanted),
        )


def _read_states(names: list[str]) -> list[str]:
    from roark_ledger.places import PLACES

    for name in names:
        if name not in PLACES:
            fail(f"--state {name}: try {', '.join(PLACES)}.", USAGE)
    return names or [state for state in PLACES if state not in _ONLY_WHERE_ASKED_FOR]


_ONLY_WHERE_ASKED_FOR = frozenset({"discarded", "delivered"})


def _show_table(shown: "Shown", states: list[str]) -> None:
    from roark_ops.cli.letters.dlq_list import said
    from roark_ops.cli.terminal.output import print_line, print_table
    from roark_ops.cli.terminal.words import ago
    from roark_ops.desk.grouping import Death

    now_ms = shown.snapshot.now_ms
    rows = [
        (
            letter.call_id,
            letter.state,
            ago(letter.since_ms, now_ms),
            str(letter.record.attempts),
            ago(letter.next_ms, now_ms) if letter.next_ms else "",
            " ".join(filter(None, (Death.of(letter).reason, said(letter)))),
        )
        for letter in shown.letters
    ]
    if rows:
        print_table(("call", "state", "since", "attempts", "next", "why"), rows, right=frozenset({3}))
        print_line()
    totals = shown.snapshot.states | {"unconfirmed": shown.snapshot.unconfirmed, "delivered": shown.snapshot.confirmed}
    total = sum(totals[state] for state in states)
    shown.print_how_many(total, states[0] if len(states) == 1 else "")
    if rows:
        print_line(f"Next: roark-ingest why {as_argument(shown.letters[0].call_id)}")
