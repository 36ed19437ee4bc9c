"""What `dlq export` and `dlq import` do: letters to a file, written whole or not at all, and from a file back."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from roark_ops.access import Access
from roark_ops.cli.enqueueing import complainer, feed, json_line, sum_up
from roark_ops.cli.feeding import Fed, Feeder
from roark_ops.cli.output import print_json, print_line
from roark_ops.cli.progress import progress
from roark_ops.cli.running import USAGE, fail, say
from roark_ops.cli.sources import STDIN, Source
from roark_ops.cli.words import counted, shown
from roark_ops.dead_letters import DeadLetters
from roark_ops.portable import export_line, read_line
from roark_producer import operations
from roark_producer.compression import compressing
from roark_producer.errors import InvalidReport, LedgerError
from roark_producer.lifecycle import State
from roark_producer.logbook import Action, doer
from roark_producer.operations import Acceptable
from roark_producer.packing import DamagedPayload
from roark_producer.producer import Producer, Receipt
from roark_producer.records import DeadLetter, Entry
from roark_producer.settings import IngestSettings

_PATIENCE_SECONDS = 30.0
_LINE_AROUND_BYTES = 2_000_000
_BATCH = 32


def carry_out(access: Access, path: str, *, force: bool, as_json: bool) -> None:
    """Write all dead letters to `path` and tell how many."""
    desk = DeadLetters(access.ledger, by="")
    written, left_out = 0, 0
    with _target(path, force=force) as file:
        letters = desk.find()
        while batch := list(islice(letters, _BATCH)):
            for letter, entry in zip(batch, desk.show_all(letter.call_id for letter in batch), strict=True):
                if line := _line(letter, entry):
                    file.write(line + b"\n")
                    written += 1
                else:
                    left_out += 1
    if as_json and path != STDIN:
        print_json({"file": path, "exported": written, "left_out": left_out})
    elif path == STDIN:
        say(f"{counted(written, 'dead letter')} exported.")
    else:
        print_line(f"{counted(written, 'dead letter')} exported to {path}.")
    if left_out:
        say(f"{counted(left_out, 'report')} left out.")


def _line(letter: DeadLetter, entry: Entry | None) -> bytes | None:
    if entry is None or entry.record is None or entry.record.state is not State.DEAD:
        # Replayed, discarded or erased since the page was read.
        return None
    try:
        return export_line(letter, entry.packed)
    except DamagedPayload as error:
        say(f"roark-ingest: call {shown(letter.call_id)} is left out: {error}")
        return None


@contextmanager
def _target(path: str, *, force: bool) -> Iterator[BinaryIO]:
    if path == STDIN:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if Path(path).exists() and not force:
        fail(f"{path} is there already. Choose another name, or say --force.", USAGE)
    partial = Path(f"{path}.partial")
    try:
        # Transcripts and phone numbers are nobody else's business.
        with open(partial, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            packing = compressing(file, path)
            yield packing
            packing.close()
        partial.replace(path)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}.")
    finally:
        partial.unlink(missing_ok=True)


def carry_in(sources: Sequence[Source], *, by: str, as_json: bool) -> int:
    """Hand in what was exported, and return the exit code."""
    settings = IngestSettings()
    fed = Fed()
    with Producer.from_settings(settings, source="import") as producer, progress(sources, quiet=False) as screen:
        files = " ".join(source.name for source in sources)
        producer.ledger.run(operations.log_deed(Action.IMPORT, who=doer(by, step="begun", file=files)))
        feeder = Feeder(
            submit=lambda lines: _submit(producer, lines),
            tell=json_line if as_json else complainer(screen),
            after_batch=lambda: screen.show(fed),
            complain=screen.complain,
            # Base64 is a third longer than the report, and the rest of the line is small.
            most_bytes=settings.max_report_bytes * 4 // 3 + _LINE_AROUND_BYTES,
            patience=_PATIENCE_SECONDS,
        )
        code = feed(feeder, sources, fed, screen)
        ended = doer(by, step="ended", file=files, stored=fed.stored, rejected=fed.results["rejected"])
        with suppress(LedgerError):
            producer.ledger.run(operations.log_deed(Action.IMPORT, who=ended, count=fed.stored))
    if not as_json:
        sum_up(fed)
    return code


def _submit(producer: Producer, lines: list[bytes]) -> list[Receipt]:
    prepared = list(map(_prepared, lines))
    reports = [one for one in prepared if isinstance(one, Acceptable)]
    results = iter(producer.accept(reports))
    return [one if isinstance(one, Receipt) else Receipt(one.call_id, next(results).value) for one in prepared]


def _prepared(line: bytes) -> Acceptable | Receipt:
    try:
        return read_line(line)
    except InvalidReport as error:
        return Receipt(None, "rejected", f"not an exported dead letter: {error}")
