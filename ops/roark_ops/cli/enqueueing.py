"""What `roark-ingest enqueue` does: feed the files to the ledger, tell each receipt, sum up, choose the exit code."""

import time
from collections.abc import Callable, Mapping, Sequence

from roark_ops.cli.feeding import Fed, Feeder, Place
from roark_ops.cli.output import print_json
from roark_ops.cli.progress import Quiet, progress
from roark_ops.cli.running import FAILED, INTERRUPTED, TO_ACT_ON, in_words, say
from roark_ops.cli.sources import Source
from roark_ops.cli.words import shown, span
from roark_producer.errors import LedgerUnavailable
from roark_producer.producer import Producer, Receipt
from roark_producer.settings import IngestSettings

_MOST_COMPLAINTS = 20
_WORDS = {
    "accepted": "accepted",
    "good": "good",
    "duplicate": "known already",
    "replaced": "newer ones that replaced an older report",
    "revision": "other reports of calls that are delivered",
    "ignored": "messages of other types, ignored",
    "erased": "reports of erased calls, refused",
    "rejected": "unusable",
}


def run(
    sources: Sequence[Source], properties: Mapping[str, str], *, patience: float, quiet: bool, as_json: bool
) -> int:
    """Hand in everything and return the exit code."""
    settings = IngestSettings()
    fed = Fed()
    with Producer.from_settings(settings, source="cli") as producer, progress(sources, quiet=quiet) as screen:
        feeder = Feeder(
            submit=lambda bodies: list(producer.submit_many(bodies, properties)),
            tell=json_line if as_json else complainer(screen),
            after_batch=lambda: screen.show(fed),
            complain=screen.complain,
            most_bytes=settings.max_report_bytes,
            patience=patience,
        )
        code = feed(feeder, sources, fed, screen)
    if not quiet and not as_json:
        sum_up(fed, rejected=", kept in the rejected bin: roark-ingest rejected list")
    return code


def feed(feeder: Feeder, sources: Sequence[Source], fed: Fed, screen: Quiet) -> int:
    """Feed everything and return the exit code; say what is stored where it ends early."""
    try:
        feeder.feed(sources, fed)
    except (LedgerUnavailable, KeyboardInterrupt, BrokenPipeError) as error:
        why = in_words(error) if isinstance(error, LedgerUnavailable) else "stopped"
        screen.complain(
            f"roark-ingest: {why}. Of the documents read so far {fed.stored} are known to be stored. Run the same "
            "command again for the rest: what is stored already is a duplicate then and does no harm."
        )
        if isinstance(error, BrokenPipeError):
            raise
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED
    if fed.broken_files:
        return FAILED
    return TO_ACT_ON if fed.results["rejected"] else 0


def json_line(place: Place, receipt: Receipt) -> None:
    """Print a receipt as a JSON line."""
    print_json(
        {
            "call_id": receipt.call_id,
            "result": receipt.result,
            "reason": receipt.reason or None,
            "file": place.file,
            "line": place.line,
        }
    )


def complainer(screen: Quiet) -> Callable[[Place, Receipt], None]:
    """Return what tells a person of each rejected document, until there are too many."""
    told = 0

    def tell(place: Place, receipt: Receipt) -> None:
        nonlocal told
        if receipt.result == "rejected":
            told += 1
            if told <= _MOST_COMPLAINTS:
                screen.complain(f"{place}: rejected: {shown(receipt.reason)}")
            elif told == _MOST_COMPLAINTS + 1:
                screen.complain("More are rejected; --json tells each of them.")

    return tell


def sum_up(fed: Fed, *, rejected: str = "") -> None:
    """Tell a person how many documents had which result; `rejected` says what became of the unusable ones."""
    seconds = time.monotonic() - fed.started
    say(f"{fed.read} read in {span(seconds)}, {round(fed.read / seconds) if seconds else 0}/s")
    width = max((len(str(number)) for number in fed.results.values()), default=1)
    for result, words in _WORDS.items():
        if number := fed.results[result]:
            say(f"  {number:>{width}}  {words}{rejected if result == 'rejected' else ''}")
