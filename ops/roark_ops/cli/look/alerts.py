"""`roark-ingest alerts`: what there is an alert about, and a message to try the way to where they go."""

from typing import TYPE_CHECKING, Any

from roark_ops.cli.terminal.options import AsJson
from roark_ops.cli.terminal.output import print_json, print_line, print_table
from roark_ops.cli.terminal.running import fail, say
from roark_ops.cli.terminal.words import ago, counted, iso, shown

if TYPE_CHECKING:
    from roark_ledger.records.alerts import Alert


def list_(*, as_json: AsJson = False) -> None:
    """List active and cleared alerts: since when, what to do, and whether the message was sent.

    The workers check every five seconds and post to ROARK_INGEST_ALERT_URL.
    """
    from roark_ledger.moves import watch
    from roark_ops.access import Access
    from roark_worker.settings import WorkerSettings

    with Access.from_env() as access:
        snapshot = access.ledger.run(watch.snapshot())
    alerts, now_ms = sorted(snapshot.alerts, key=lambda alert: (not alert.active, -alert.since_ms)), snapshot.now_ms
    if as_json:
        for alert in alerts:
            print_json(document(alert))
        return
    if not alerts:
        print_line("No alerts.")
        return
    rows = [
        (
            alert.kind.value,
            f"active since {ago(alert.since_ms, now_ms).removesuffix(' ago')}"
            if alert.active
            else f"cleared {ago(alert.ended_ms, now_ms)}",
            _sending(alert),
            shown(alert.message.headline),
        )
        for alert in alerts
    ]
    print_table(("alert", "status", "message", "what"), rows)
    if any(alert.owed for alert in alerts) and WorkerSettings().alert_url is None:
        say("No alerts are sent: ROARK_INGEST_ALERT_URL is not set. Set it for the workers; roark-ingest alerts test")
    for alert in alerts:
        if alert.active:
            print_line()
            print_line(f"{shown(alert.message.headline)} {shown(alert.message.explanation)}")
            print_line(f"Next: {alert.message.command}")


def document(alert: "Alert") -> dict[str, Any]:
    """Return an alert as `--json` prints it."""
    return {
        "kind": alert.kind.value,
        "active": alert.active,
        "since": iso(alert.since_ms),
        "ended": iso(alert.ended_ms),
        "sent": iso(alert.told_ms),
        "to_be_sent": alert.owed or None,
        "tries": alert.tries,
        "what": shown(alert.message.headline),
        "explanation": shown(alert.message.explanation),
        "command": alert.message.command,
    }


def _sending(alert: "Alert") -> str:
    if alert.owed:
        return f"not sent yet ({counted(alert.tries, 'attempt')})" if alert.tries else "not sent yet"
    return "sent" if alert.told_ms else "-"


def try_(*, as_json: AsJson = False) -> None:
    """Send a test message to ROARK_INGEST_ALERT_URL, using the settings of this shell."""
    from roark_ledger.records.alerts import Message
    from roark_worker.alerts.post import AlertNotTaken, body, post
    from roark_worker.settings import WorkerSettings

    url = WorkerSettings().alert_url
    if url is None:
        fail("neither ROARK_INGEST_ALERT_URL nor ROARK_INGEST_ALERT_URL_FILE is set, so alerts go nowhere.")
    message = Message("this is a test message.", "Alerts arrive here.", "roark-ingest alerts list")
    try:
        post(url.get_secret_value(), body("test", "test", message))
    except AlertNotTaken as error:
        fail(f"{error}.")
    if as_json:
        print_json({"sent": True})
    else:
        print_line("Test message delivered.")
