"""`roark-ingest hold` and `resume`: stop the way to Roark by hand, and open it again."""

from typing import Annotated

from roark_ops.cli.terminal.options import As, AsJson, actor, reason_for
from roark_ops.cli.terminal.output import print_json, print_line
from roark_ops.cli.terminal.words import counted

Reason = Annotated[str, reason_for("for the log and for whoever looks later")]


def hold(*, reason: Reason = "", by: As = None, as_json: AsJson = False) -> None:
    """Pause uploads. Reports are still accepted and stay ready until `roark-ingest resume`.

    Uploads under way are finished. No attempts are counted, and nothing is lost.
    """
    from roark_ledger.lane_states import LaneState
    from roark_ops.access import Access
    from roark_ops.desk.lane import hold_uploads

    who = actor(by)
    with Access.from_env() as access:
        was_open = hold_uploads(access, by=who, reason=reason)
    if as_json:
        print_json({"lane": LaneState.HELD.value, "by": who, "reason": reason or None, "changed": was_open})
    elif was_open:
        print_line(f"Uploads are paused by {who}. Reports stay ready. To continue: roark-ingest resume")
    else:
        print_line(f"Uploads were already paused; now paused by {who}. To continue: roark-ingest resume")


def resume(*, reason: Reason = "", by: As = None, as_json: AsJson = False) -> None:
    """Continue uploading, whoever paused it. Reports that were held back go out at once."""
    from roark_ledger.lane_states import LaneState
    from roark_ops.access import Access
    from roark_ops.desk.lane import resume_uploads

    with Access.from_env() as access:
        was_held, ready = resume_uploads(access, by=actor(by), reason=reason)
    if as_json:
        print_json({"lane": LaneState.OPEN.value, "changed": was_held, "ready": ready})
    elif was_held:
        print_line(f"Uploads are running again. {counted(ready, 'report')} ready.")
    else:
        print_line(f"Uploads were not paused. {counted(ready, 'report')} ready.")
