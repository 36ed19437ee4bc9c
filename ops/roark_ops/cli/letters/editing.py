"""What `dlq edit` does: show the difference, ask, change, and say what became of each.

The difference goes to the operator's own terminal, with the values that change; no log and no history holds them.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import typer

from roark_ledger.ids import as_argument
from roark_ledger.lifecycle import Move, after
from roark_ops.cli.letters.editor import edited
from roark_ops.cli.terminal.output import print_line
from roark_ops.cli.terminal.running import FAILED, confirm, say
from roark_ops.cli.terminal.words import counted, one_line, shown
from roark_ops.desk.dead_letters import DeadLetters
from roark_ops.mending import json_text
from roark_ops.mending.editing import Edited, for_editor, rewritten
from roark_ops.mending.patching import Change, Step

_MOST_SHOWN = 200
_MOST_CHANGES = 50
_EXAMPLES = 3
_MOST_TRIED = 1000
_DONE = frozenset({"edited", "unedited"})


def by_patch(
    desk: DeadLetters,
    call_ids: Sequence[str],
    patch: Sequence[Step],
    *,
    reason: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Apply a patch to each of the reports; of several the first differences are shown before asking."""
    if not as_json and not dry_run:
        _ask_about(desk, call_ids, patch, yes=yes)
    results = desk.edit(call_ids, patch, reason=reason, dry_run=dry_run)
    _tell(results, as_json=as_json, dry_run=dry_run, show_changes=dry_run)


def in_editor(
    desk: DeadLetters, call_id: str, data_dir: Path, *, reason: str, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Open one report in the operator's editor, show what changed, and store it."""
    entry = desk.show(call_id)
    if entry is None or entry.record is None or after(entry.record.state, Move.EDIT) is None:
        state = "unknown" if entry is None else entry.record.state.value if entry.record else "erased"
        _tell([Edited(call_id, state)], as_json=as_json, dry_run=dry_run)
        return
    edit = edited(for_editor(call_id, entry.packed), data_dir, partial(rewritten, call_id, entry.packed))
    if edit.changes and not as_json:
        print_changes(edit.changes)
        if not dry_run:
            confirm(f"Edit call {shown(call_id)}?", yes=yes)
    if dry_run:
        result = Edited(call_id, "edited" if edit.changes else "unchanged", edit.changes)
    else:
        result = desk.store(edit, entry.packed, reason=reason)
    _tell([result], as_json=as_json, dry_run=dry_run)


def undo(desk: DeadLetters, call_ids: Sequence[str], *, yes: bool, as_json: bool) -> None:
    """Bring back what was sent."""
    confirm(f"Undo the edits of {counted(len(call_ids), 'report')}?", yes=yes)
    _tell(desk.undo(call_ids), as_json=as_json, dry_run=False)


def print_changes(changes: Sequence[Change]) -> None:
    """Print a difference: what stood in each place in one line, what stands there now in the next."""
    for change in changes[:_MOST_CHANGES]:
        place = one_line(json_text.pointer(change.place) or "(all)")
        if change.before:
            print_line(f"- {place}  {_value(change.before)}", style="red")
        if change.after:
            print_line(f"+ {place}  {_value(change.after)}", style="green")
    if len(changes) > _MOST_CHANGES:
        print_line(f"… and {len(changes) - _MOST_CHANGES} more; use --json to see them all.")


def _value(raw: bytes) -> str:
    text = one_line(raw.decode("utf-8", "replace"))
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}… ({len(text)} characters)"


def _ask_about(desk: DeadLetters, call_ids: Sequence[str], patch: Sequence[Step], *, yes: bool) -> None:
    """Show what would become of them: the differences of the first few, and how it ends for the first thousand."""
    examples: list[Edited] = []
    found: Counter[str] = Counter()
    why = ""
    for one in desk.edit(call_ids[:_MOST_TRIED], patch, dry_run=True):
        found[one.result] += 1
        examples += [one] if one.result == "edited" and len(examples) < _EXAMPLES else []
        why = why or (_why_not(one) if one.result not in {"edited", "unchanged"} else "")
    if not examples:
        return
    for example in examples:
        if len(call_ids) > 1:
            print_line(f"call {shown(example.call_id)}")
        print_changes(example.changes)
    if len(call_ids) > 1:
        print_line(_forecast(found, len(call_ids)))
        if why:
            print_line(f"For example: {why}.", style="yellow")
    confirm(f"Edit {counted(len(call_ids), 'dead letter')}?", yes=yes)


def _forecast(found: Counter[str], wanted: int) -> str:
    others = found.total() - found["edited"] - found["unchanged"]
    of = f"Of the first {found.total()}: " if found.total() < wanted else ""
    told = [f"{counted(found['edited'], 'report')} would change"]
    told += [f"{found['unchanged']} need no change"] if found["unchanged"] else []
    told += [f"{others} cannot be changed like this"] if others else []
    return f"{of}{', '.join(told)}."


def _tell(results: Iterable[Edited], *, as_json: bool, dry_run: bool, show_changes: bool = False) -> None:
    found: Counter[str] = Counter()
    last = ""
    for one in results:
        found[one.result] += 1
        if as_json:
            sys.stdout.write(_document(one, dry_run=dry_run).decode() + "\n")
        elif one.result not in _DONE:
            say(f"roark-ingest: {_why_not(one)}.")
        elif show_changes:
            print_line(f"call {shown(one.call_id)}")
            print_changes(one.changes)
        last = one.call_id if one.result in _DONE else last
    done = sum(found[result] for result in _DONE)
    if not as_json:
        verb = "restored to the original" if found["unedited"] else "would be edited" if dry_run else "edited"
        print_line(f"{counted(done, 'report')} {verb}.")
        if found["edited"] and not dry_run:
            next_ = f"replay {as_argument(last)}" if done == 1 else "list --edited"
            print_line(f"Next: roark-ingest dlq {next_}")
    if done < found.total():
        raise typer.Exit(FAILED)


def _why_not(one: Edited) -> str:
    call = f"call {shown(one.call_id)}"
    match one.result:
        case "unfit":
            return shown(one.why)
        case "unchanged":
            return f"{call} was not edited: nothing to change"
        case "changed":
            return f"{call} was not edited: someone else changed it in the meantime. Check it and edit it again"
        case "unknown":
            return f"{call} is unknown"
        case state:
            return f"{call} is not a dead letter, it is {state}"


def _document(one: Edited, *, dry_run: bool) -> bytes:
    changes = [
        {"op": change.op, "path": json_text.pointer(change.place)}
        | ({"before": msgspec.Raw(change.before)} if change.before else {})
        | ({"after": msgspec.Raw(change.after)} if change.after else {})
        for change in one.changes
    ]
    found = {"call_id": one.call_id, "result": one.result, "dry_run": dry_run, "why": one.why or None}
    return msgspec.json.encode(found | {"changes": changes})
