"""*Reconcile and receipts*: does Roark really have what is delivered, and is the report of every call here?"""

from typing import Any

from starlette.responses import Response

from roark_ledger.errors import ConfigurationError
from roark_ledger.moves import desk
from roark_ledger.places import UNCONFIRMED
from roark_ops.cli.terminal.running import Misused
from roark_ops.cli.terminal.since import moment_of
from roark_ops.cli.views.receipts_status import looked_up_told, percent_told
from roark_ops.cli.views.reconcile import MEANINGS, agreement_told, sums_of
from roark_ops.cli.views.reconcile_status import reconcile_told
from roark_ops.console.ask import Ask, NotThere
from roark_ops.console.deeds import VERBS
from roark_ops.console.memory.comparing import now_ms
from roark_ops.desk.replays import MOST_WITHOUT_REASON

_MOST, _NAMED = 50, 20
_SINCE = "24h"


def page(ask: Ask) -> Response:
    """Answer with both comparisons, or with how far the one is that somebody started here."""
    if ask.query.get("part") == "compared":
        return ask.page("compared.html", now_ms=now_ms(), **_compared(ask))
    return _show(ask)


def compare(ask: Ask) -> Response:
    """Begin to compare Vapi's list of calls with what is here; one that is under way goes on."""
    until_ms = now_ms()
    try:
        since_ms = moment_of(ask.text("since", 40) or _SINCE, until_ms)
    except Misused as error:
        return _show(ask, told=str(error), status=422)
    if since_ms >= until_ms:
        return _show(ask, told="Since when? Say a time that is over.", status=422)
    return _begun(ask, since_ms=since_ms, until_ms=until_ms, at_roark=bool(ask.form.get("at_roark")))


def backfill(ask: Ask) -> Response:
    """Rebuild the missing reports that were shown, and queue them."""
    last, number = ask.stage.comparing.last, ask.number("number", source=ask.form)
    if last and last.of == number:
        # A second click: the first one did it, or does it.
        return ask.go("/receipts")
    if last is None or last.is_running or last.number != number:
        raise NotThere("There was another comparison since. Look at that one, and decide again.")
    reason = ask.text("reason")
    if last.can_bring_in > MOST_WITHOUT_REASON and not reason:
        return _show(ask, told=f"More than {MOST_WITHOUT_REASON} reports need a reason.", status=422)
    return _begun(ask, since_ms=last.since_ms, until_ms=last.until_ms, of=number, reason=reason)


def _begun(ask: Ask, *, since_ms: int, until_ms: int, **wanted: Any) -> Response:
    try:
        ask.stage.comparing.start(ask.stage.access, by=ask.actor(), since_ms=since_ms, until_ms=until_ms, **wanted)
    except ConfigurationError as error:
        return _show(ask, told=str(error), status=422)
    return ask.go("/receipts")


def _compared(ask: Ask) -> dict[str, Any]:
    last = ask.stage.comparing.last
    sums = last.facts.get("certificate") if last else None
    return {
        "last": last,
        "last_sums": sums_of(sums) if sums else [],
        "last_agreement": agreement_told(sums) if sums else "",
        "has_key": ask.stage.comparing.has_key,
        "most": MOST_WITHOUT_REASON,
        "named": _NAMED,
    }


def _show(ask: Ask, *, told: str = "", status: int = 200) -> Response:
    snapshot = ask.stage.live.now().snapshot
    found = snapshot.reconciled
    result = found.result if found else {}
    sums = result.get("certificate")
    receipts = snapshot.receipts
    unconfirmed = ask.stage.ledger.run(desk.page(most=_MOST, place=UNCONFIRMED))
    return ask.page(
        "receipts_part.html" if ask.is_part else "receipts.html",
        snapshot=snapshot,
        found=found,
        status=status,
        misused=told,
        told=reconcile_told(snapshot),
        buckets=[(kind, result.get("buckets", {}).get(kind.value, 0), words) for kind, words in MEANINGS.items()],
        result=result,
        sums=sums_of(sums) if sums else [],
        agreement=agreement_told(sums) if sums else "",
        receipts=receipts,
        looked_up=looked_up_told(receipts),
        in_time_share=percent_told(receipts.calls_in_time / receipts.calls_due) if receipts.calls_due else "",
        letters=unconfirmed.letters,
        verbs=[VERBS[name] for name in ("resend", "confirm", "drop")],
        now_ms=snapshot.now_ms,
        command="roark-ingest reconcile",
        **_compared(ask),
    )
