"""What `dlq export` and `dlq import` do: letters to a file, written whole or not at all, and from a file back."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from roark_ops.access import Access
from roark_ops.cli.enqueueing import complainer, feed, json_line, sum_up
from roark_ops.cli.feeding import Fed, Feeder
from roark_ops.cli.output import print_json, print_line
from roark_ops.cli.progress import progress
from roark_ops.cli.running import FAILED, USAGE, fail, say
from roark_ops.cli.sources import STDIN, Source
from roark_ops.cli.words import counted, shown
from roark_ops.dead_letters import DeadLetters
from roark_ops.finding import Filter
from roark_ops.portable import Seal, export_line, is_manifest, read_line
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


def carry_out(access: Access, chosen: Filter, path: str, *, by: str, force: bool, as_json: bool) -> None:
    """Write the dead letters that are meant to `path`, and the manifest behind them; tell how many."""
    left_out = 0
    seal = Seal()
    with _target(path, force=force) as file:
        for line in _lines(DeadLetters(access.ledger, by=by), chosen):
            if line is None:
                left_out += 1
                continue
            file.write(line + b"\n")
            seal.add(line)
        facts = _facts(access, chosen, left_out)
        if path != STDIN:
            # In a pipe every line is a letter, for jq and grep.
            file.write(seal.manifest(**facts) + b"\n")
        who = doer(by, file=path, chosen=chosen.in_words())
        access.ledger.run(operations.log_deed(Action.EXPORT, who=who, count=seal.letters))
    if as_json and path != STDIN:
        print_json({"file": path, "exported": seal.letters, "left_out": left_out})
    elif path == STDIN:
        say(f"{counted(seal.letters, 'dead letter')} exported.")
    else:
        print_line(f"{counted(seal.letters, 'dead letter')} exported to {path}.")
    if left_out:
        say(f"{counted(left_out, 'report')} left out.")


def _lines(desk: DeadLetters, chosen: Filter) -> Iterator[bytes | None]:
    letters = desk.find(chosen)
    while batch := list(islice(letters, _BATCH)):
        for letter, entry in zip(batch, desk.show_all(letter.call_id for letter in batch), strict=True):
            yield _line(letter, entry)


def _facts(access: Access, chosen: Filter, left_out: int) -> dict[str, Any]:
    now_ms, _ = DeadLetters(access.ledger, by="").counted()
    return {
        "left_out": left_out,
        "chosen": chosen.in_words(),
        "exported_ms": now_ms,
        "ledger": access.settings.prefix,
        "version": version("roark-ingest"),
    }


def _line(letter: DeadLetter, entry: Entry | None) -> bytes | None:
    if entry is None or entry.record is None or entry.record.state is not State.DEAD:
        # Replayed, discarded or erased since the page was read.
        return None
    try:
        return export_line(letter, entry.packed, entry.original)
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


def carry_in(sources: Sequence[Source], *, by: str, partial: bool, check: bool, as_json: bool) -> int:
    """Hand in what was exported, and return the exit code.

    `partial` says that lines may be missing, or changed, so that no manifest fits. With `check` nothing is handed in.
    """
    settings = IngestSettings()
    fed, customs = Fed(), _Customs()
    with Producer.from_settings(settings, source="import") as producer, progress(sources, quiet=False) as screen:
        files = " ".join(source.name for source in sources)
        if not check:
            producer.ledger.run(operations.log_deed(Action.IMPORT, who=doer(by, step="begun", file=files)))
        feeder = Feeder(
            submit=(lambda lines: list(map(_looked_at, lines))) if check else (lambda lines: _submit(producer, lines)),
            tell=json_line if as_json else complainer(screen),
            after_batch=lambda: screen.show(fed),
            complain=screen.complain,
            # Base64 is a third longer than the report, there may be an original beside it, and the rest is small.
            most_bytes=settings.max_report_bytes * 8 // 3 + _LINE_AROUND_BYTES,
            patience=_PATIENCE_SECONDS,
            passes=customs.pass_,
        )
        code = feed(feeder, sources, fed, screen)
        if not check:
            ended = doer(by, step="ended", file=files, stored=fed.stored, rejected=fed.results["rejected"])
            with suppress(LedgerError):
                producer.ledger.run(operations.log_deed(Action.IMPORT, who=ended, count=fed.stored))
    if not as_json:
        sum_up(fed)
    if code or partial:
        return code
    return _complain_about(customs, sources)


def _complain_about(customs: "_Customs", sources: Sequence[Source]) -> int:
    if customs.breaches:
        for breach in customs.breaches:
            say(f"roark-ingest: {breach}. What could be read is handed in; --partial takes it as it is.")
        return FAILED
    if customs.is_open and any(source.name != "stdin" for source in sources):
        say(
            "roark-ingest: the manifest is missing: the file was cut short, or made by something else. What could be "
            "read is handed in; --partial takes it as it is."
        )
        return FAILED
    return 0


class _Customs:
    """Looks at each line on its way in: counts letters, and compares them with the manifest behind them."""

    def __init__(self) -> None:
        self._seal = Seal()
        self.breaches: list[str] = []

    @property
    def is_open(self) -> bool:
        """Whether letters came behind the last manifest."""
        return self._seal.letters > 0

    def pass_(self, line: bytes) -> bool:
        """Take note of a line; say whether it is a letter."""
        if not is_manifest(line):
            self._seal.add(line)
            return True
        if breach := self._seal.breach(line):
            self.breaches.append(breach)
        self._seal = Seal()
        return False


def _looked_at(line: bytes) -> Receipt:
    found = _prepared(line)
    return found if isinstance(found, Receipt) else Receipt(found.call_id, "good")


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
