"""`roark-ingest rejected`: what came in and could not be used, kept until a person decides."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.act.enqueue import At, place
from roark_ops.cli.terminal.options import As, AsJson, Yes, actor
from roark_ops.cli.terminal.output import print_json, print_line, print_table
from roark_ops.cli.terminal.running import FAILED, USAGE, confirm, fail, say
from roark_ops.cli.terminal.words import ago, iso, shown

if TYPE_CHECKING:
    from roark_ledger.records.rejected import Rejected
    from roark_ops.access import Access
    from roark_ops.desk.rejected import RejectedBin
    from roark_producer.producer import Producer

Entry = Annotated[
    str,
    typer.Argument(metavar="ENTRY", help="An entry from `rejected list`, or its first characters.", show_default=False),
]
Entries = Annotated[
    list[str] | None,
    typer.Argument(metavar="ENTRY", help="An entry from `rejected list`, or its first characters.", show_default=False),
]
All = Annotated[bool, typer.Option("--all", help="Everything in the bin right now.")]


def list_(*, as_json: AsJson = False) -> None:
    """List rejected input, oldest first: when, why, where it came in, and what to do about it."""
    from roark_ledger.moves import watch
    from roark_ops.access import Access
    from roark_ops.cli.views.why import explanation_document
    from roark_ops.desk.explain_rejected import explain_rejected
    from roark_ops.desk.rejected import RejectedBin

    with Access.from_env() as access:
        entries = list(RejectedBin(access.ledger).entries())
        snapshot = access.ledger.run(watch.snapshot())
    if as_json:
        for entry in entries:
            print_json(
                {
                    "entry": entry.digest,
                    "rejected": iso(entry.rejected_ms),
                    "field": shown(entry.field),
                    "problem": shown(entry.problem),
                    "source": entry.source,
                    "bytes": entry.size,
                    "explanation": explanation_document(
                        explain_rejected(entry.field, entry.problem, entry=entry.digest)
                    ),
                }
            )
        return
    if entries:
        rows = [
            (
                entry.digest,
                ago(entry.rejected_ms, snapshot.now_ms),
                str(entry.size),
                entry.source,
                shown(f"{entry.field}: {entry.problem}"),
            )
            for entry in entries
        ]
        print_table(("entry", "rejected", "bytes", "source", "why"), rows, right=frozenset({2}))
        print_line()
        _print_explanations(entries)
    print_line(f"{_entries(len(entries))} in the rejected bin.")
    if given_up := snapshot.total("rejected_overflow"):
        print_line(f"{given_up} older entries were dropped because the bin was full (ROARK_INGEST_REJECTED_MAX_BYTES).")


def _print_explanations(entries: "Sequence[Rejected]") -> None:
    from roark_ops.desk.explain_rejected import explained_together

    for number, why in explained_together(entries):
        print_line(f"{_entries(number)}: {shown(why.what)}", style="bold")
        print_line(f"  {why.cause_in_words} {why.todo}")
        print_line(f"  Next: {why.command}")
    print_line()


def show(entry: Entry) -> None:
    """Print a rejected entry exactly as it came in."""
    from roark_ops.access import Access
    from roark_ops.desk.rejected import RejectedBin

    with Access.from_env() as access:
        rejected = RejectedBin(access.ledger)
        found = rejected.find(entry)
        if found is None:
            fail(f"no entry {shown(entry)}, or more than one starts with that. See roark-ingest rejected list")
        sys.stdout.flush()
        sys.stdout.buffer.write(rejected.body(found))
        sys.stdout.buffer.flush()


def retry(entries: Entries = None, *, at: At = None, all_: All = False, by: As = None, as_json: AsJson = False) -> None:
    """Queue rejected entries again. What is usable now leaves the bin; the rest stays.

    --at is the path to the message inside each entry, as for `enqueue`.
    """
    from roark_ops.access import Access
    from roark_ops.desk.rejected import RejectedBin

    with Access.from_env() as access, _again(access) as producer:
        rejected = RejectedBin(access.ledger, by=actor(by))
        retried = list(rejected.retry(producer, _chosen(rejected, entries, all_=all_), at=place(at)))
    left = 0
    for one in retried:
        result = one.receipt.result if one.receipt else "unknown"
        left += result in {"rejected", "unknown"}
        if as_json:
            receipt = one.receipt
            print_json(
                {
                    "entry": one.digest,
                    "result": result,
                    "call_id": receipt.call_id if receipt else None,
                    "reason": shown(receipt.reason) if receipt and receipt.reason else None,
                }
            )
        elif one.receipt is None:
            say(f"roark-ingest: no entry {shown(one.digest)}, or more than one starts with that.")
        else:
            reason = f": {shown(one.receipt.reason)}" if one.receipt.reason else ""
            print_line(f"{one.digest}  {result}{reason}")
    if left:
        raise typer.Exit(FAILED)


def _again(access: "Access") -> "Producer":
    from roark_producer.producer import Producer

    # What cannot be used lies in the bin already.
    return Producer.from_settings(access.settings, source="retry", keeps_rejected=False)


def discard(
    entries: Entries = None, *, all_: All = False, yes: Yes = False, by: As = None, as_json: AsJson = False
) -> None:
    """Delete rejected entries permanently. Cannot be undone."""
    from roark_ops.access import Access
    from roark_ops.desk.rejected import RejectedBin

    with Access.from_env() as access:
        rejected = RejectedBin(access.ledger, by=actor(by))
        chosen = _chosen(rejected, entries, all_=all_)
        found = {name: rejected.find(name) for name in chosen}
        digests = [entry.digest for entry in found.values() if entry]
        if digests:
            confirm(f"Permanently delete {_entries(len(digests))}?", yes=yes)
        gone = rejected.discard(digests) if digests else 0
    unknown = [name for name, entry in found.items() if entry is None]
    if as_json:
        print_json({"discarded": gone, "unknown": unknown})
    else:
        print_line(f"{_entries(gone)} deleted.")
        for name in unknown:
            say(f"roark-ingest: no entry {shown(name)}, or more than one starts with that.")
    if unknown:
        raise typer.Exit(FAILED)


def _chosen(rejected: "RejectedBin", entries: list[str] | None, *, all_: bool) -> list[str]:
    if bool(entries) == all_:
        fail("give either entries or --all.", USAGE)
    return [entry.digest for entry in rejected.entries()] if all_ else entries or []


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"
