"""What `roark-ingest enqueue` does: feed the files to the ledger, tell each receipt, sum up, choose the exit code."""

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.ids import as_argument
from roark_ops.cli.act.feeding import Fed, Feeder, Place, Told
from roark_ops.cli.terminal.output import print_json
from roark_ops.cli.terminal.progress import Quiet, progress
from roark_ops.cli.terminal.running import FAILED, INTERRUPTED, TO_ACT_ON, in_words, say
from roark_ops.cli.terminal.sources import Source
from roark_ops.cli.terminal.words import counted, shown, span
from roark_ops.desk.opening import Opener, submitting
from roark_producer.producer import Producer
from roark_producer.settings import IngestSettings
from roark_producer.vapi.places import named
from roark_producer.vapi.properties import Scalar

_MOST_COMPLAINTS = 20
_OF_REPORTS = ("accepted", "duplicate", "replaced", "revision", "erased")
_NOT_KEPT = " (not kept; add --keep-rejected to keep them in the rejected bin)"
_WORDS = {
    "accepted": "accepted",
    "good": "good",
    "duplicate": "already known",
    "replaced": "newer, replaced an older report",
    "revision": "newer reports of delivered calls",
    "ignored": "other message types, ignored",
    "erased": "refused: the call was erased",
    "rejected": "unusable",
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """How files are to be handed in: see the command's options."""

    properties: dict[str, Scalar]
    at: tuple[str, ...] | None
    keep_rejected: bool
    patience: float
    quiet: bool
    as_json: bool


def run(sources: Sequence[Source], wishes: Wishes) -> int:
    """Hand in everything and return the exit code."""
    settings = IngestSettings()
    fed, opener = Fed(), Opener(wishes.at)
    with (
        Producer.from_settings(settings, source="cli", keeps_rejected=wishes.keep_rejected) as producer,
        progress(sources, quiet=wishes.quiet) as screen,
    ):
        feeder = Feeder(
            submit=submitting(producer, wishes.properties),
            tell=json_line if wishes.as_json else complainer(screen),
            after_batch=lambda: screen.show(fed),
            complain=screen.complain,
            # A wrapper is larger than the report in it, and one with JSON in a string up to twice as large.
            most_bytes=settings.max_report_bytes * (2 if wishes.at else 1),
            patience=wishes.patience,
            opens=lambda document: opener.opened(document.body, is_row=document.is_row),
        )
        code = feed(feeder, sources, fed, screen)
    if not wishes.quiet and not wishes.as_json:
        kept = ", kept in the rejected bin (roark-ingest rejected list)" if wishes.keep_rejected else _NOT_KEPT
        sum_up(fed, rejected=kept)
    if code in {0, TO_ACT_ON}:
        code = _advise(fed, opener, wishes, sources) or code
    return code


def _advise(fed: Fed, opener: Opener, wishes: Wishes, sources: Sequence[Source]) -> int:
    """Say which files held no report, and how a wrapper is opened; return the exit code that this makes."""
    code = 0
    for name, results in fed.by_file.items():
        if not any(results[result] for result in _OF_REPORTS):
            code = TO_ACT_ON
            others = f", only {counted(results['ignored'], 'message')} of other types" if results["ignored"] else ""
            say(f"roark-ingest: {name} contains no usable end-of-call report{others}.")
    if opener.missed:
        at = named(wishes.at or ())
        say(f"roark-ingest: {counted(opener.missed, 'document')} had nothing at {at}.")
    files = as_argument(*(source.path for source in sources))
    if fed.behind_text:
        say("Some lines have other text in front of the report. Cut it off and queue the rest:")
        say(f"  sed 's/^[^{{]*//' {files} | roark-ingest enqueue")
    if fed.places:
        (place, _), *_ = fed.places.most_common(1)
        say(f"The reports are at {place}. To queue them: roark-ingest enqueue --at {shlex.quote(place)} {files}")
    return code


def feed(feeder: Feeder, sources: Sequence[Source], fed: Fed, screen: Quiet) -> int:
    """Feed everything and return the exit code; say what is stored where it ends early."""
    try:
        feeder.feed(sources, fed)
    except (LedgerUnavailable, KeyboardInterrupt, BrokenPipeError) as error:
        why = in_words(error) if isinstance(error, LedgerUnavailable) else "stopped"
        screen.complain(
            f"roark-ingest: {why}. {counted(fed.stored, 'document')} stored so far. Run the same command again for "
            "the rest; what is already stored counts as a duplicate."
        )
        if isinstance(error, BrokenPipeError):
            raise
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED
    if fed.broken_files:
        return FAILED
    return TO_ACT_ON if fed.results["rejected"] else 0


def json_line(place: Place, receipt: Told) -> None:
    """Print a receipt as a JSON line."""
    print_json(
        {
            "call_id": receipt.call_id,
            "result": receipt.result,
            "reason": receipt.reason or None,
            "file": place.file,
            "line": place.line,
        }
        | ({"column": place.column} if receipt.result == "rejected" and place.column > 1 else {})
    )


def complainer(screen: Quiet) -> Callable[[Place, Told], None]:
    """Return what tells a person of each rejected document, until there are too many."""
    told = 0

    def tell(place: Place, receipt: Told) -> None:
        nonlocal told
        if receipt.result == "rejected":
            told += 1
            if told <= _MOST_COMPLAINTS:
                screen.complain(f"{place}: rejected: {shown(receipt.reason)}")
            elif told == _MOST_COMPLAINTS + 1:
                screen.complain("Further rejected documents are not shown; use --json to see them all.")

    return tell


def sum_up(fed: Fed, *, rejected: str = "") -> None:
    """Tell a person how many documents had which result; `rejected` says what became of the unusable ones."""
    seconds = time.monotonic() - fed.started
    say(f"{fed.read} read in {span(seconds)}, {round(fed.read / seconds) if seconds else 0}/s")
    width = max((len(str(number)) for number in fed.results.values()), default=1)
    for result, words in _WORDS.items():
        if number := fed.results[result]:
            say(f"  {number:>{width}}  {words}{rejected if result == 'rejected' else ''}")
