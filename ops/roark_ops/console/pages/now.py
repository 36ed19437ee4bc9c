"""*Now*: is all well, and if not, what needs somebody?"""

from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from roark_ledger.lane_states import LaneState
from roark_ledger.lifecycle import State
from roark_ledger.records.alerts import AlertKind
from roark_ledger.records.screen import uploads_are
from roark_ledger.records.snapshot import Snapshot
from roark_ops.cli.terminal.words import shown, span
from roark_ops.cli.views.reconcile_status import reconcile_told
from roark_ops.cli.views.status import audit_told, split_told, uploads_told
from roark_ops.console.ask import Ask
from roark_ops.console.memory.live import Moment
from roark_ops.todo import Todo, todos
from roark_producer.disk.segments import pending
from roark_worker.answers.explain import Explanation
from roark_worker.answers.lane_words import explain_way

# What is typed there, and the page that shows the same.
_PAGES = (
    ("roark-ingest dlq groups", "/causes"),
    ("roark-ingest list --state unconfirmed", "/receipts"),
    ("roark-ingest reconcile", "/receipts"),
    ("roark-ingest rejected", "/rejected"),
    ("roark-ingest replay", "/replays"),
    ("roark-ingest dlq list --discarded", "/reports?state=discarded"),
    ("roark-ingest dlq", "/causes"),
    ("roark-ingest resume", "/uploads"),
    ("roark-ingest doctor", "/health"),
    ("roark-ingest audit", "/health"),
)


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure: its name, how it is, what it says beside, how much it matters (`ok`, `warn`, `bad` or ""), and where
    it leads."""

    name: str
    figure: str
    beside: str = ""
    mood: str = ""
    path: str = ""


def page(ask: Ask) -> Response:
    """Answer with everything that the shift needs to know."""
    moment = ask.stage.live.now()
    snapshot = moment.snapshot
    found = todos(snapshot)
    return ask.page(
        "now_part.html" if ask.is_part else "now.html",
        moment=moment,
        snapshot=snapshot,
        now_ms=snapshot.now_ms,
        todos=[(todo, page_of(todo)) for todo in found],
        alerts=[(alert, _is_over(alert.kind, snapshot)) for alert in snapshot.alerts if alert.active],
        states=[(state, snapshot.states[state]) for state in State],
        accepted=snapshot.total("accepted"),
        tiles=tiles(moment, pending(ask.stage.access.settings.spool_folder).reports),
        shut=_shut(snapshot),
        moving=_moving(snapshot),
        audit=audit_told(snapshot),
        command="roark-ingest status",
    )


def curves(ask: Ask) -> Response:
    """Answer with the last hour, for the charts."""
    ask.stage.live.now()
    points = ask.stage.live.curves()
    return JSONResponse(
        {
            "at": [point.at_ms // 1000 for point in points],
            "accepted": [point.accepted_ps for point in points],
            "delivered": [point.delivered_ps for point in points],
            "p50": [None if point.p50_ms is None else point.p50_ms / 1000 for point in points],
            "p95": [None if point.p95_ms is None else point.p95_ms / 1000 for point in points],
        }
    )


def page_of(todo: Todo) -> str:
    """Return the page on which that can be done."""
    return next((path for command, path in _PAGES if todo.command.startswith(command)), "/health")


def _is_over(kind: AlertKind, snapshot: Snapshot) -> bool:
    """Whether the cause of an alert is gone, as far as that is seen here. The alert itself ends some minutes later."""
    gone = {
        AlertKind.LANE_HELD: snapshot.lane.state != LaneState.HELD,
        AlertKind.BREAKER_OPEN: snapshot.lane.state == LaneState.OPEN,
        AlertKind.DEAD_LETTERS: not snapshot.states[State.DEAD],
        AlertKind.MEMORY_SHORT: not snapshot.memory.short,
    }
    return gone.get(kind, False)


def _shut(snapshot: Snapshot) -> Explanation | None:
    # A hold is among what there is to do; the rest ends by itself.
    return None if snapshot.lane.state == LaneState.HELD else explain_way(snapshot.lane, snapshot.setup)


def _moving(snapshot: Snapshot) -> str:
    # What nobody goes on with is among what there is to do.
    if snapshot.moving is None or snapshot.moving.is_stalled(snapshot.now_ms):
        return ""
    return " ".join(told.capitalize() + "." for _, told in split_told(snapshot))


def tiles(moment: Moment, spooled: int) -> list[Tile]:
    """Return the figures, in the order in which they are read."""
    snapshot = moment.snapshot
    return [
        _overdue(snapshot),
        _uploads(snapshot),
        _drained(snapshot),
        _throughput(snapshot),
        _latency(moment),
        _audio(moment),
        _missing(snapshot),
        _spool(spooled),
    ]


def _overdue(snapshot: Snapshot) -> Tile:
    late = snapshot.past_due_seconds
    mood = "bad" if late >= 60 else "warn" if late >= 10 else "ok"
    return Tile(
        "Oldest overdue", span(late) if late else "none", "could be at Roark, and is not", mood, "/reports?state=ready"
    )


def _uploads(snapshot: Snapshot) -> Tile:
    state = snapshot.lane.state
    mood = "ok" if state == LaneState.OPEN else "warn" if state == LaneState.THROTTLED else "bad"
    words = uploads_are(state).removeprefix("Uploads are ")
    beside = shown(uploads_told(snapshot)) if state != LaneState.OPEN else "the way to Roark is open"
    return Tile("Uploads", words, beside, mood, "/uploads")


def _drained(snapshot: Snapshot) -> Tile:
    backlog = snapshot.states[State.READY] + snapshot.states[State.UPLOADING]
    beside = f"{backlog} ready or uploading"
    if snapshot.forecast.seconds is None:
        return Tile(
            "Time to drained", "no estimate", f"{beside}; {snapshot.forecast.reason}", "warn", "/reports?state=ready"
        )
    figure = span(snapshot.forecast.seconds) if snapshot.forecast.seconds else "drained"
    return Tile("Time to drained", figure, beside, "ok", "/reports?state=ready")


def _throughput(snapshot: Snapshot) -> Tile:
    speed = snapshot.lane.speed
    if speed is None or snapshot.now_ms - speed.measured_ms > 30_000:
        return Tile("Throughput", "quiet", "nothing was delivered in the last 30 s")
    return Tile("Throughput", f"{speed.delivered_per_second:.1f}/s", f"{speed.accepted_per_second:.1f}/s come in")


def _latency(moment: Moment) -> Tile:
    middle, most = moment.latency(50), moment.latency(95)
    if middle is None or most is None:
        return Tile("Accepted to delivered", "no data", "no deliveries in the last hour")
    return Tile(
        "Accepted to delivered",
        span(middle / 1000),
        f"95 % within {span(most / 1000)}, of the latest {len(moment.latencies)}",
    )


def _audio(moment: Moment) -> Tile:
    snapshot = moment.snapshot
    lost, soon = snapshot.audio_ended, moment.facts.fading + moment.facts.held_up
    beside = f"{soon} expire within 2 h; {snapshot.total('delivered_without_audio')} delivered without"
    mood = "bad" if soon else "warn" if lost else "ok"
    path = "/reports?state=dead&audio_within=2h" if soon else "/reports?state=dead&audio=ended"
    return Tile("Audio lost", str(lost), beside, mood, path)


def _missing(snapshot: Snapshot) -> Tile:
    found = snapshot.reconciled
    if found is None:
        return Tile("Missing at Vapi", "not compared", "no worker has VAPI_API_KEY", "warn", "/receipts")
    return Tile(
        "Missing at Vapi", str(found.missing), reconcile_told(snapshot), "bad" if found.missing else "ok", "/receipts"
    )


def _spool(reports: int) -> Tile:
    return Tile(
        "Spool", str(reports), "on this machine's disk, not yet in Redis", "warn" if reports else "ok", "/health"
    )
