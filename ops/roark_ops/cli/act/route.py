"""`roark-ingest route`: by which of Roark's two ways in reports are sent."""

from typing import Annotated

import typer

from roark_ops.cli.terminal.options import As, AsJson, Reason, actor
from roark_ops.cli.terminal.output import print_json, print_line
from roark_ops.cli.terminal.running import USAGE, confirm, fail, say
from roark_ops.cli.terminal.words import counted

Way = Annotated[
    str | None,
    typer.Argument(metavar="[vapi|call|setting]", help="The way in; none: show the current one.", show_default=False),
]
Free = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CALL_ID",
        help="Let this dead letter go by any way in, because Roark does not have the call. Repeat for more.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")]

_CHANGES = """\
Reports that were never sent, or only ever refused, will go to {path}. Reports that were sent by the other way
stay on it, because Roark might have them: two ways in would make two calls of one."""
_OF_CALL = """\
POST /v1/call takes a call's recording, transcript and tool calls, not Vapi's whole report, and refuses calls without
a recording: those become dead letters (route_needs_recording). Use it only if Roark says that POST /v1/vapi/call is
gone."""


def route(
    way: Way = None,
    *,
    free: Free = None,
    yes: Yes = False,
    reason: Reason = "",
    by: As = None,
    as_json: AsJson = False,
) -> None:
    """Show or switch the way in by which reports go to Roark, for all workers at once and without a restart.

    vapi: POST /v1/vapi/call (the default). call: POST /v1/call. setting: each worker's ROARK_INGEST_ROUTE.

    --free is for dead letters that were sent by a way in that no longer works: afterwards, replay them.
    """
    from roark_ledger.moves import watch
    from roark_ledger.routes import path_of
    from roark_ops.access import Access
    from roark_ops.desk.lane import WAYS, switch_way
    from roark_worker.settings import WorkerSettings

    if free:
        if way:
            fail("Give either a way in or --free, not both.", USAGE)
        _free(free, reason, by, yes=yes, as_json=as_json)
        return
    if way is not None and way not in WAYS:
        fail("The way in must be vapi, call or setting.", USAGE)
    with Access.from_env() as access:
        chosen = access.ledger.run(watch.snapshot()).lane.route
        if way is None:
            setting = WorkerSettings().route
            if as_json:
                print_json({"route": chosen or setting, "chosen": chosen or None, "setting": setting})
            else:
                whence = "chosen with `roark-ingest route`" if chosen else "ROARK_INGEST_ROUTE of this shell"
                print_line(f"Reports go to {path_of(chosen or setting)} ({whence}).")
            return
        if not yes and not as_json:
            say("\n".join(what_changes(way)))
            confirm("Switch all workers?", yes=False)
        to = WAYS[way]
        before = switch_way(access, to, by=actor(by), reason=reason)
    if as_json:
        print_json({"route": to, "before": before or None, "changed": before != (to or "")})
        return
    now = path_of(to) if to else "the way that each worker is set to"
    print_line(f"Reports go to {now}. If uploads are paused, the next probe uses it; or: roark-ingest resume")


def what_changes(way: str) -> list[str]:
    """Return what to know before all workers are switched to `vapi`, `call` or `setting`."""
    from roark_ledger.routes import path_of

    path = "the way that each worker is set to" if way == "setting" else path_of(way)
    return [_CHANGES.format(path=path), *([_OF_CALL] if way == "call" else [])]


def _free(call_ids: list[str], reason: str, by: str | None, *, yes: bool, as_json: bool) -> None:
    from roark_ops.access import Access
    from roark_ops.cli.letters.moved import tell
    from roark_ops.desk.dead_letters import DeadLetters

    what = f"Free {counted(len(set(call_ids)), 'dead letter')}? If Roark has a call, it will be there twice."
    confirm(what, yes=yes or as_json)
    with Access.from_env() as access:
        moved = DeadLetters(access.ledger, by=actor(by)).free_route(call_ids, reason)
    tell(moved, "freed", as_json=as_json)
