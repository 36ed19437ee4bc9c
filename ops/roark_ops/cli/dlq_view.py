"""How groups of dead letters are shown, and one letter's payload where it is asked for. Lists are in `dlq_list.py`."""

import json
import sys
from collections.abc import Sequence

from roark_ops.cli.output import print_json, print_line
from roark_ops.cli.why_view import document, explanation_document
from roark_ops.cli.words import counted, iso, moment, shown
from roark_ops.grouping import Group
from roark_ops.story import Story
from roark_producer.packing import unpack
from roark_producer.records import Entry
from roark_worker.explain import Explanation, explain


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
        print_line(f"{group.name}  {counted(group.count, 'report')}: {group.reason}{said}", style="bold")
        first, last = moment(group.first_ms), moment(group.last_ms)
        print_line(f"  from {first} to {last}, the last one {group.example}")
        print_line(f"  {shown(found.what)} On the side of {found.side.value}. {found.replay_in_words}")
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


def _group_document(group: Group) -> dict[str, object]:
    return {
        "group": group.name,
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
