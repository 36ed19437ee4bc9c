"""`roark-ingest dlq edit`: mend reports in the dead letters, in an editor or by what is to be set."""

from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.letters.filtering import filtered, require_one_choice
from roark_ops.cli.terminal.options import AllDead, As, AsJson, Reason, SomeCallIds, Yes, actor
from roark_ops.cli.terminal.running import USAGE, fail

if TYPE_CHECKING:
    from roark_ops.desk.finding import Filter
    from roark_ops.mending.patching import Step

Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Set a field. VALUE is parsed as JSON; anything else becomes a string. Repeatable.",
        show_default=False,
    ),
]
Patch = Annotated[
    str,
    typer.Option(
        "--patch", metavar="FILE", help="Apply a JSON patch (RFC 6902). Use - for standard input.", show_default=False
    ),
]
Changes = Annotated[
    list[str],
    typer.Option(
        "--change",
        metavar="EXPRESSION",
        help="Change a field from each report's own value: number(PATH), string(PATH), boolean(PATH), remove(PATH), "
        "rename(PATH, NAME), copy(FROM, TO), move(FROM, TO). Repeatable.",
        show_default=False,
    ),
]
Undo = Annotated[bool, typer.Option("--undo", help="Undo the edits: restore the report as Vapi sent it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the changes without making them.")]


@filtered
def edit(
    call_ids: SomeCallIds = None,
    *,
    chosen: "Filter",
    all_: AllDead = False,
    settings: Set = [],  # noqa: B006 Typer copies it
    changes: Changes = [],  # noqa: B006 Typer copies it
    patch: Patch = "",
    undo: Undo = False,
    dry_run: DryRun = False,
    reason: Reason = "",
    yes: Yes = False,
    by: As = None,
    as_json: AsJson = False,
) -> None:
    """Fix dead letters: one in $EDITOR, or any number with --change, --set or --patch. Then replay them.

    You see the changes before they are made. The original is kept until the edited report is delivered; --undo
    restores it. Everything you don't edit stays byte for byte the same. Write a path as artifact.messages[0].time, or
    as a JSON pointer. call.id cannot be edited.

    --set gives every report the same value, --change computes it from each report's own. A report is changed
    completely or not at all, by --patch first, then --change, then --set.
    """
    from roark_ops.access import Access
    from roark_ops.cli.letters import editing
    from roark_ops.cli.terminal.ids_as_options import refuse_ids_as_options
    from roark_ops.desk.dead_letters import DeadLetters

    require_one_choice(call_ids, chosen, all_=all_)
    if sum((bool(settings or changes or patch), undo)) > 1 or (undo and dry_run):
        fail("--undo cannot be combined with --change, --set, --patch or --dry-run.", USAGE)
    steps = _steps(settings, changes, patch)
    with Access.from_env() as access:
        refuse_ids_as_options(access.ledger)
        desk = DeadLetters(access.ledger, by=actor(by))
        ids = list(dict.fromkeys(call_ids)) if call_ids else list(desk.freeze(chosen))
        if undo:
            editing.undo(desk, ids, yes=yes or bool(call_ids), as_json=as_json)
        elif steps:
            editing.by_patch(desk, ids, steps, reason=reason, dry_run=dry_run, yes=yes, as_json=as_json)
        elif len(ids) == 1:
            data_dir = access.settings.data_dir
            editing.in_editor(desk, ids[0], data_dir, reason=reason, dry_run=dry_run, yes=yes, as_json=as_json)
        else:
            fail(f"can't open {len(ids)} reports in an editor. Use --change, --set or --patch instead.", USAGE)


def _steps(settings: list[str], changes: list[str], patch: str) -> "list[Step]":
    from roark_ops.mending.editing import CannotEdit, read_settings
    from roark_ops.mending.expressions import read_changes
    from roark_ops.mending.patching import PatchFailed, read_patch

    try:
        patched = read_patch(_read(patch)) if patch else []
        option = "--change"
        changed = read_changes(changes)
        option = "--set"
        return [*patched, *changed, *read_settings(settings)]
    except CannotEdit as error:
        fail(f"{option} {error}.", USAGE)
    except PatchFailed as error:
        fail(f"--patch {patch}: {error}.", USAGE)


def _read(path: str) -> bytes:
    import sys
    from pathlib import Path

    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        fail(f"--patch {path}: cannot read it: {error.strerror}.", USAGE)
