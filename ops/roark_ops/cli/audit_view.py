"""How an audit's verdict is shown: the equation with its numbers, and every call that breaks it."""

from roark_ops.cli.output import print_json, print_line
from roark_ops.cli.promises_view import promises_document, promises_told
from roark_ops.cli.words import counted, shown, span
from roark_worker.audit import Verdict

_MOST_SHOWN = 20


def show_verdict(verdict: Verdict, *, as_json: bool) -> None:
    """Print what was found."""
    states, accepted = verdict.snapshot.states, verdict.snapshot.total("accepted")
    if as_json:
        print_json(
            {
                "holds": verdict.holds,
                "accepted": accepted,
                "states": {state.value: number for state, number in states.items()},
                "difference": verdict.difference,
                "looked_at": verdict.looked_at,
                "broken": [
                    {"call_id": one.call_id, "state": one.state, "faults": list(one.faults)} for one in verdict.broken
                ],
                "mended": verdict.mended,
                "notes": list(verdict.notes),
                **promises_document(verdict.snapshot),
                "seconds": round(verdict.seconds, 3),
            }
        )
        return
    terms = " + ".join(f"{number} {state}" for state, number in states.items())
    print_line(f"{accepted} accepted {'=' if not verdict.difference else '≠'} {terms}")
    print_line(f"{counted(verdict.looked_at, 'place')} looked at in {span(verdict.seconds)}.")
    for one in verdict.broken[:_MOST_SHOWN]:
        print_line(f"call {shown(one.call_id)} is {one.state}: {', '.join(one.faults)}")
    if len(verdict.broken) > _MOST_SHOWN:
        print_line(f"… and {len(verdict.broken) - _MOST_SHOWN} more; --json names all.")
    for note in verdict.notes:
        print_line(note)
    for told in promises_told(verdict.snapshot):
        print_line(shown(told))
    if verdict.holds:
        print_line("Every report is accounted for, in exactly one place.", style="green")
    elif verdict.broken and not verdict.mended:
        print_line("Next: roark-ingest audit --repair", style="bold yellow")
    if verdict.mended:
        print_line(f"{counted(verdict.mended, 'call')} mended.")
