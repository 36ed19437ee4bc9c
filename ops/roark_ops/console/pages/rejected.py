"""*Rejected*: what came in and could not be used, and why?"""

from starlette.responses import Response

from roark_ledger.moves import desk
from roark_ledger.records.logbook import Action, doer
from roark_ops.console.ask import Ask, NotThere
from roark_ops.console.deeds import VERBS
from roark_ops.desk.explain_rejected import explained_together
from roark_ops.desk.rejected import RejectedBin

_PER_PAGE = 100
_MOST_SHOWN_BYTES = 200_000


def page(ask: Ask) -> Response:
    """Answer with a page of the bin, oldest first."""
    first = ask.number("offset") if "offset" in ask.query else 0
    snapshot = ask.stage.live.now().snapshot
    entries = ask.stage.ledger.run(desk.rejected_page(first=first, most=_PER_PAGE))
    return ask.page(
        "rejected_part.html" if ask.is_part else "rejected.html",
        entries=entries,
        first=first,
        following=first + len(entries) if first + len(entries) < snapshot.rejected_kept else 0,
        total=snapshot.rejected_kept,
        bin=snapshot.bin,
        dropped=snapshot.total("rejected_overflow"),
        reasons=explained_together(entries),
        verbs=[verb for verb in VERBS.values() if verb.is_about_entries],
        now_ms=snapshot.now_ms,
        command="roark-ingest rejected list",
    )


def reveal(ask: Ask) -> Response:
    """Show an entry as it came in, and write down who looked."""
    bin_ = RejectedBin(ask.stage.ledger)
    digest = ask.text("entry", 128)
    entry = bin_.find(digest) if digest else None
    if entry is None:
        raise NotThere("There is no such entry in the bin any longer.")
    who = doer(ask.actor(), ask.text("reason"))
    ask.stage.ledger.run(desk.log_deed(Action.REVEAL, who=who, count=1, calls=[entry.digest]))
    body = bin_.body(entry)
    return ask.page(
        "rejected_entry.html",
        entry=entry,
        text=body[:_MOST_SHOWN_BYTES].decode("utf-8", "replace"),
        more=max(0, len(body) - _MOST_SHOWN_BYTES),
        now_ms=ask.stage.live.now().snapshot.now_ms,
        command=f"roark-ingest rejected show {entry.digest}",
    )
