"""How an audit's verdict is shown: the equation with its numbers, and every call that breaks it."""

from roark_ops.cli.terminal.output import print_json, print_line
from roark_ops.cli.terminal.words import counted, shown, span
from roark_ops.cli.views.promises import promises_document
from roark_worker.upkeep.audit import AuditVerdict

_MOST_SHOWN = 20


def show_verdict(verdict: AuditVerdict, *, as_json: bool) -> None:
    """Print what was found."""
    states, accepted, found = verdict.snapshot.states, verdict.snapshot.total("accepted"), verdict.accounts
    if as_json:
        print_json(
            {
                "holds": found.holds,
                "accepted": accepted,
                "states": {state.value: number for state, number in states.items()},
                "receipts": {"confirmed": verdict.snapshot.confirmed, "unconfirmed": verdict.snapshot.unconfirmed},
                "difference": found.difference,
                "looked_at": found.looked_at,
                "broken": [
                    {"call_id": one.call_id, "state": one.state, "faults": list(one.faults)} for one in verdict.broken
                ],
                "mended": verdict.mended,
                "notes": list(found.miscounted),
                **promises_document(verdict.snapshot),
                "seconds": found.took_ms / 1000,
            }
        )
        return
    terms = " + ".join(f"{number} {state}" for state, number in states.items())
    print_line(f"{accepted} accepted {'=' if not found.difference else '≠'} {terms}")
    if unconfirmed := verdict.snapshot.unconfirmed:
        print_line(f"{unconfirmed} of the delivered are unconfirmed: Roark's answer did not name the call.")
    print_line(f"Checked {counted(found.looked_at, 'record')} in {span(found.took_ms / 1000)}.")
    for one in verdict.broken[:_MOST_SHOWN]:
        print_line(f"call {shown(one.call_id)} is {one.state}: {', '.join(one.faults)}")
    if len(verdict.broken) > _MOST_SHOWN:
        print_line(f"… and {len(verdict.broken) - _MOST_SHOWN} more; use --json to see them all.")
    if verdict.mended:
        print_line(f"{counted(verdict.mended, 'call')} repaired.")
    if found.holds:
        print_line("Every report is accounted for, in exactly one place.", style="green")
    for finding in found.findings:
        print_line(finding.what, style="bold yellow")
    for command in dict.fromkeys(finding.command for finding in found.findings):
        left = verdict.mended and command.endswith("--repair")
        print_line(f"Next: {'roark-ingest doctor' if left else command}", style="bold yellow")
