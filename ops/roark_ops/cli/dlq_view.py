"""How dead letters are shown: lists, groups, and one letter's payload where it is asked for."""

import json
import sys
from collections.abc import Sequence

from roark_ops.cli.output import print_json, print_line, print_table
from roark_ops.cli.why_view import document, explanation_document
from roark_ops.cli.words import ago, counted, iso, moment, shown
from roark_ops.explain import Explanation, explain
from roark_ops.grouping import Death, Group
from roark_ops.story import Story
from roark_producer.lifecycle import State
from roark_producer.packing import unpack
from roark_producer.records import DeadLetter, Entry, Snapshot


def show_letters(
    letters: Sequence[DeadLetter], snapshot: Snapshot, state: State, *, offset: int, as_json: bool
) -> None:
    """Print a page of letters, and how many there are besides."""
    if as_json:
        for letter in letters:
            print_json(_letter_document(letter, state))
        return
    rows = [
        (
            letter.call_id,
            ago(letter.since_ms, snapshot.now_ms),
            str(letter.record.attempts),
            letter.record.note,
            _said(letter),
        )
        for letter in letters
    ]
    if rows:
        print_table(("call", state.value, "tries", "reason", "Roark said"), rows, right=frozenset({2}))
        print_line()
    total = snapshot.states[state]
    if not rows:
        print_line(f"No {state} reports{f' from number {offset + 1} on' if total else ''}.")
    elif offset + len(rows) < total:
        print_line(f"{offset + 1} to {offset + len(rows)} of {total}. The next: --offset {offset + len(rows)}")
    else:
        print_line(f"{counted(total, 'report')} {state}.")


def show_groups(groups: Sequence[Group], *, as_json: bool) -> None:
    """Print the groups, each with what it means."""
    if as_json:
        for group in groups:
            print_json(_group_document(group))
        return
    if not groups:
        print_line("No dead letters.")
    for group in groups:
        found = _explain(group)
        said = f' "{shown(group.message)}"' if group.message else ""
        print_line(f"{counted(group.count, 'report')}: {group.reason}{said}", style="bold")
        first, last = moment(group.first_ms), moment(group.last_ms)
        print_line(f"  from {first} to {last}, the last one {group.example}")
        print_line(f"  {shown(found.what)} On the side of {found.side.value}; a replay {found.replay.value}.")
        print_line(f"  {found.todo}")
        print_line(f"  Next: {found.command}")
        print_line()


def show_payload(entry: Entry, story: Story, *, as_json: bool) -> None:
    """Print the report byte for byte, alone or as the last member of the story's JSON."""
    payload = unpack(entry.packed).payload
    sys.stdout.flush()
    if as_json:
        head = json.dumps(document(story))[:-1].encode()
        sys.stdout.buffer.write(head + b', "payload": ' + payload + b"}\n")
    else:
        sys.stdout.buffer.write(payload + b"\n")
    sys.stdout.buffer.flush()


def _letter_document(letter: DeadLetter, state: State) -> dict[str, object]:
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
        "audio_links_end": iso(letter.record.expires_ms),
    }


def _group_document(group: Group) -> dict[str, object]:
    return {
        "reason": group.reason,
        "status": group.status or None,
        "message": shown(group.message) or None,
        "parameter": shown(group.parameter) or None,
        "last_reason": group.last or None,
        "count": group.count,
        "first": iso(group.first_ms),
        "last": iso(group.last_ms),
        "example": group.example,
        "explanation": explanation_document(_explain(group)),
    }


def _explain(group: Group) -> Explanation:
    return explain(group.reason, call_id=group.example, status=group.status, last=group.last, parameter=group.parameter)


def _said(letter: DeadLetter) -> str:
    death = Death.of(letter)
    cause = death.last if death.last != death.reason else ""
    return shown(" ".join(filter(None, (cause, death.message, f"({death.parameter})" if death.parameter else ""))))
