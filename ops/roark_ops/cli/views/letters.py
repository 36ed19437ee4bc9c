"""How groups of dead letters are shown, and one letter's payload where it is asked for. Lists are in `dlq_list.py`."""

import json
import shlex
import sys
from collections.abc import Sequence

from roark_ledger.packing import unpack
from roark_ledger.records.record import Entry
from roark_ops.cli.terminal.output import print_json, print_line
from roark_ops.cli.terminal.words import counted, iso, moment, shown
from roark_ops.cli.views.why import document, explanation_document
from roark_ops.desk.dead_letters import DeadLetters
from roark_ops.desk.grouping import Group, Shared
from roark_ops.desk.story import Story
from roark_worker.answers.explain import Explanation


def show_groups(desk: DeadLetters, groups: Sequence[Group], *, as_json: bool) -> None:
    """Print the groups, each with what it means, what its letters have in common, and what changed before."""
    if as_json:
        for group in groups:
            print_json(_group_document(group, desk.explain(group)))
        return
    if not groups:
        print_line("No dead letters.")
        return
    for group in groups:
        _print_group(group, desk.explain(group))
    print_line(f"{counted(sum(group.count for group in groups), 'report')} in {counted(len(groups), 'group')}.")


def _print_group(group: Group, found: Explanation) -> None:
    said = f' "{shown(group.message)}"' if group.message else ""
    print_line(f"{group.name}  {counted(group.count, 'report')}: {group.reason}{said}", style="bold")
    if group.count == 1:
        print_line(f"  failed {moment(group.first_ms)}: {group.example}")
    else:
        print_line(f"  from {moment(group.first_ms)} to {moment(group.last_ms)}, latest: {group.example}")
    if group.excerpt and group.excerpt != group.message:
        print_line(f"  Roark's answer: {shown(group.excerpt)}")
    for one in group.shared:
        print_line(f"  {share_told(one, group)}")
    for change in group.changed:
        print_line(f"  changed {moment(change.at_ms)}: {shown(change.what)}")
    if group.edited:
        print_line(f"  {group.edited} edited")
    print_line(f"  {shown(found.what)} {found.cause_in_words}")
    print_line(f"  {found.todo}")
    print_line(f"  Next: {group_command(group, found)}")
    print_line()


def share_told(one: Shared, group: Group) -> str:
    """Return what letters of a group have in common: `all from assistant A7, since …`."""
    how_many = "all" if one.count == group.count and group.count > 1 else f"{one.count} of {group.count}"
    with_ = f"from {one.what}" if one.what == "assistant" else f"with {one.what} ="
    since = f", since {moment(one.since_ms)}" if group.count > 1 else ""
    return f"{how_many} {with_} {shown(one.value)}{since}"


def group_command(group: Group, found: Explanation) -> str:
    """Return what to type next about a group: what its explanation says, for all of its letters."""
    match found.command.split()[1:3]:
        case ["dlq", "replay"] if group.count > 1:
            return f"roark-ingest dlq replay --group {group.name}"
        case ["dlq", "edit"] if group.count > 1 and found.field:
            place = shlex.quote(f"{found.field}=VALUE")
            return f"roark-ingest dlq edit --group {group.name} --set {place} --dry-run"
        case _:
            return found.command


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


def _group_document(group: Group, found: Explanation) -> dict[str, object]:
    return {
        "group": group.name,
        "reason": group.reason,
        "status": group.status or None,
        "message": shown(group.message) or None,
        "code": shown(group.code) or None,
        "parameter": shown(group.parameter) or None,
        "excerpt": shown(group.excerpt) or None,
        "last_reason": group.last or None,
        "count": group.count,
        "edited": group.edited,
        "first": iso(group.first_ms),
        "last": iso(group.last_ms),
        "example": group.example,
        "shared": [
            {"what": one.what, "value": shown(one.value), "count": one.count, "since": iso(one.since_ms)}
            for one in group.shared
        ],
        "changed": [{"at": iso(change.at_ms), "what": shown(change.what)} for change in group.changed],
        "explanation": explanation_document(found) | {"command": group_command(group, found)},
    }
