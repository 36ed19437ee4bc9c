"""*Reconcile and receipts*: does Roark really have what is delivered, and is the report of every call here?"""

from starlette.responses import Response

from roark_ledger.moves import desk
from roark_ledger.places import UNCONFIRMED
from roark_ops.cli.views.receipts_status import looked_up_told, percent_told
from roark_ops.cli.views.reconcile import MEANINGS, agreement_told, sums_of
from roark_ops.cli.views.reconcile_status import reconcile_told
from roark_ops.console.ask import Ask
from roark_ops.console.deeds import VERBS

_MOST = 50


def page(ask: Ask) -> Response:
    """Answer with both comparisons."""
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
    )
