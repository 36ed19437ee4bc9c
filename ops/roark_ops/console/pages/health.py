"""*Health*: is everything set up as it should be, which workers are there, of which version, with which settings?"""

from starlette.responses import Response

from roark_ops.cli.views.status import audit_told, retention_told
from roark_ops.console.ask import Ask
from roark_ops.doctor.check import Level

_NAMES = {"lane": "uploads"}


def page(ask: Ask) -> Response:
    """Answer with what is known at once; the checks follow."""
    moment = ask.stage.live.now()
    snapshot = moment.snapshot
    return ask.page(
        "health.html",
        snapshot=snapshot,
        examined=ask.stage.examining.last,
        names=_NAMES,
        Level=Level,
        audit=audit_told(snapshot),
        retention=[retention_told(kept, snapshot.now_ms) for kept in snapshot.retention],
        crew=sorted(moment.crew.items()),
        settings=ask.stage.own_settings,
        now_ms=snapshot.now_ms,
        command="roark-ingest doctor",
    )


def checks(ask: Ask) -> Response:
    """Answer with the doctor's checks, made now."""
    examined = ask.stage.examining.now(again="again" in ask.query)
    template = "health_checks.html" if ask.is_part else "health_checked.html"
    return ask.page(
        template,
        examined=examined,
        names=_NAMES,
        Level=Level,
        now_ms=ask.stage.live.now().snapshot.now_ms,
        command="roark-ingest doctor",
    )
